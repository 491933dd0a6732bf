"""What the commands on tasks do: each task alone, in a worker of its own."""
