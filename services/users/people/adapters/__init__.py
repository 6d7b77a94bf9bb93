"""What talks to the world beside the database: the seal of identifiers."""
