"""What billing keeps in the database."""
