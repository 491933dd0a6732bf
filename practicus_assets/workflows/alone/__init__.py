"""Tasks alone: one task of a folder or of a code location, run once in a worker of its own."""
