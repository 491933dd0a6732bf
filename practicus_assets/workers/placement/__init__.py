"""Placement: which worker and which region a step gets.

Layers of defaults, declarations and overrides are merged; each field of the result knows the layer that it
comes from.
"""
