"""What calls, jobs and commands of collection share."""
