"""Plans: what a run would compute and why, before it does it; read from the lake, and nothing is written."""
