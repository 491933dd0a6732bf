"""The launch of one attempt at a step, and the process that it runs in.

What processes and pods have in common: the attempt's number and worker, its environment, its command.
"""
