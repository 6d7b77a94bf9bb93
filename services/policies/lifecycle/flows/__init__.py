"""What calls, jobs and commands of lifecycle share."""
