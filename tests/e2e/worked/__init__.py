"""What the worked cases of the domain are walked with."""
