"""Payments: billing policies, collecting what is owed, and the ledger that every movement of money is posted to."""
