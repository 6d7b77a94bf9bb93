"""What calls, jobs and commands of impact share."""
