"""What policies keep in the database."""
