"""Quoting: prices that were offered, and what becomes of them."""
