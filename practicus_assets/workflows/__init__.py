"""Workflows: tasks in order, as assets with a job and its schedule."""
