"""Accounts: who has one, what it may do, and how its owner stays logged in."""
