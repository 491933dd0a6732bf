"""Overviews: the tables of a code location at a glance: what they are, how they stand, and what is wrong."""
