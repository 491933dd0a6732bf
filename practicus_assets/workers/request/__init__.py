"""What a step asks for: a worker's fields, validated, and as Kubernetes spells them.

Pure functions from values to manifests; nothing in here talks to a cluster.
"""
