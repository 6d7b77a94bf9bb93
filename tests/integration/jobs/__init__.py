"""Jobs on a real database, with real workers."""
