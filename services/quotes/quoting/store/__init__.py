"""What quoting keeps in the database."""
