"""Where a step runs: what it asks for, and the processes and pods that are made of it."""
