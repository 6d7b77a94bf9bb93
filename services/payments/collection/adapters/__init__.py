"""What collection needs of the world beside database and neighbours."""
