"""Splits of a step: its inputs in parts, and its function on each of them in a process or pod of its own."""
