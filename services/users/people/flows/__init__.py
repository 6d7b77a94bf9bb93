"""What calls and jobs of customers share."""
