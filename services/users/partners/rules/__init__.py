"""The rules of partners."""
