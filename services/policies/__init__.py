"""Policies: issuing contracts of insurance and keeping their history."""
