"""The rules of ledger, with no I/O."""
