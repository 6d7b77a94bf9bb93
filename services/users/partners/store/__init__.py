"""What partners keep in the database."""
