"""Billing: how the price of a policy is split, and the invoices of its parts."""
