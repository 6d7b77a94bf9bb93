"""What people keep in the database."""
