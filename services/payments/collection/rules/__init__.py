"""The rules of collection, with no I/O."""
