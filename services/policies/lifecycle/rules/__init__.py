"""The rules of policies, with no I/O."""
