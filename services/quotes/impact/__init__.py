"""Impact: what a version of a product would do to the prices that were given before."""
