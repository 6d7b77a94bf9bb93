"""Processes that are measured beside the platform. They use its code, and are the only ones here that do."""

CONTENDERS = __name__
"""Where their modules are."""
