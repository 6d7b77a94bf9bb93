"""What every process of the platform shares. No service is known here but by its name, save the books in `backup`."""
