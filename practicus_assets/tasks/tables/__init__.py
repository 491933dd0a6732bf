"""Tables of tasks: the rows that a script gives, and the assets that it owns."""
