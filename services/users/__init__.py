"""Users: who the people are, how they log in, and the tokens that prove it."""
