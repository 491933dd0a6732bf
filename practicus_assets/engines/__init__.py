"""Engines: one transaction whose rows many processes stage."""
