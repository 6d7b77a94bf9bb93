"""Quotes: the catalogue of products, prices for risks, and what becomes of an offered price."""
