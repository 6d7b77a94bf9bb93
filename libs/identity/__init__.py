"""Who is calling: people by their tokens, services by theirs, and what each of them may see."""
