"""Policies as the contracts carry them, and as the domain knows them."""
