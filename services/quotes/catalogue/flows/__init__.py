"""What calls, jobs and commands of catalogue share."""
