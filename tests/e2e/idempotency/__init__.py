"""A request for every method that takes an idempotency key, by service."""
