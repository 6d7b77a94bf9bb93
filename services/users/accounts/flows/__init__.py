"""What calls, jobs and commands of accounts share."""
