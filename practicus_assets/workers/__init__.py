"""Workers: where a step runs, with which resources, and what happens when its process or pod fails.

The only rooms that use Dagster's private seams for executors. They import one way: kubernetes and local,
launch, placement, request.
"""
