"""The rules of quoting, with no I/O."""
