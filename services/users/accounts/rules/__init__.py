"""The rules of accounts, with no I/O."""
