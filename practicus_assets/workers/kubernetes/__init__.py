"""Workers that are Kubernetes pods: one Job per attempt, whose pod status explains a failure.

Starts, watches and removes the Jobs of steps, through the few calls of the cluster's API that this needs.
"""
