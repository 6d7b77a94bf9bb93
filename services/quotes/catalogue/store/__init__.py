"""What catalogue keeps in the database."""
