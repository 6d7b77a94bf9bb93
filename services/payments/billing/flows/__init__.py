"""What calls, jobs and commands of billing share."""
