"""Placement: which worker and which region a step gets."""
