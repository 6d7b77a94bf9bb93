"""A year in the life of a book: policies that are bought, changed and ended on a platform of their own, and proved."""
