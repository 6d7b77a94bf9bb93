"""What impact keeps in the database."""
