"""What the commands on tasks do: each alone in a worker of its own."""
