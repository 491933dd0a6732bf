"""Environment variables by which a worker's process learns what its executor knows."""

ATTEMPT = "PRACTICUS_ATTEMPT"  # the number of the attempt, 1 for the first
ROOTS = "PRACTICUS_ROOTS"  # where lakes are found in the region, JSON, by the root that the code configures
