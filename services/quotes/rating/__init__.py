"""Rating: the price of a risk by the steps of a product."""
