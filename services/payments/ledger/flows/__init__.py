"""What the modules above share of the ledger."""
