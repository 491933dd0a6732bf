"""Tasks: scripts, shell scripts, notebooks and commands as Dagster assets, each run in its worker."""
