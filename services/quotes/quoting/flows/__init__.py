"""What calls, jobs and commands of quoting share."""
