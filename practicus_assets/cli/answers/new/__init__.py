"""What `new` does: what it wrote, and what to do with it."""
