"""Workers that are pods."""
