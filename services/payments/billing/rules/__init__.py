"""The rules of billing, with no I/O."""
