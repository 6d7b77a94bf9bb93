"""What calls of partners share."""
