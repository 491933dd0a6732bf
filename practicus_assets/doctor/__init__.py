"""Whether workers can do their work where they are to run: what is asked of a cluster, and of pods in it."""
