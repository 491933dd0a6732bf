"""Layers: the tables of an own root that lie over those of a base, which is only read.

An own table has only the scopes that were written to it. Where it has none, its base's rows are read, at a
pinned version.
"""
