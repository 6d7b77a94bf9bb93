"""What accounts need of the world beside database and neighbours."""
