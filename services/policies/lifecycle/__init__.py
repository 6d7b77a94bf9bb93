"""The life of a policy: issued, put in force, and what it is made of at any time."""
