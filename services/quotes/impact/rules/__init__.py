"""The rules of impact, with no I/O."""
