"""`bazarutod policy`: policies as people look at them."""
