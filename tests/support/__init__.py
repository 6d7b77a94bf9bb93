"""What the tests stand on: a real PostgreSQL, callers with real tokens, servers in this process."""
