"""Billing as the contract carries it, and as the domain knows it."""
