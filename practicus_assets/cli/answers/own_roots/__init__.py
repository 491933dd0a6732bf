"""Own roots: what a lake over a base would change there, and its promotion, at a terminal."""
