"""What every process of the platform shares. Nothing here knows a service."""
