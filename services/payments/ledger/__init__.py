"""The ledger: the chart of accounts, and journals that balance."""
