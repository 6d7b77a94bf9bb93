"""What collection keeps in the database."""
