"""Who is calling: users by their tokens, services by theirs, and what each of them may see."""
