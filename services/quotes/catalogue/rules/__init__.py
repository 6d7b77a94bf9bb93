"""The rules of catalogue, with no I/O."""
