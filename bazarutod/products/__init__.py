"""`bazarutod products`: what a product file says and does, before anybody publishes it."""
