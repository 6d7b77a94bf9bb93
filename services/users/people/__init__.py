"""Customers: persons and organisations, apart from the accounts of those who act for them."""
