"""Own roots: what a table of one would change in its base, and the promotion that does it."""
