"""What the commands on tables at a glance do, and how their answers look."""
