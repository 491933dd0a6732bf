"""Errors of tasks."""


class TaskError(Exception):
    """A task failed."""
