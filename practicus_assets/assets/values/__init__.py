"""Values: what a step gets for an input, and what becomes of the value of a plain asset."""
