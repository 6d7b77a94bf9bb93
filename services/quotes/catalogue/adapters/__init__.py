"""What catalogue needs of the world beside database and neighbours."""
