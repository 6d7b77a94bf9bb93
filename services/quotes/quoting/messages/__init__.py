"""Quoting as the contracts carry it, and as the domain knows it."""
