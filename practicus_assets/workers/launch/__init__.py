"""Launching an attempt at a step, and the process that it runs in."""
