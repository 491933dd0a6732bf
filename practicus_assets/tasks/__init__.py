"""Tasks: scripts, shell scripts and commands as Dagster assets, each run in its worker."""
