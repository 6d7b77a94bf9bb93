"""Products, and what they say of sold policies, as the contracts carry them."""
