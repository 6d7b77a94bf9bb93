"""What accounts keep in the database."""
