"""What ledger keeps in the database."""
