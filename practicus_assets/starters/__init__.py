"""Starters: folders of files to begin with, which `new` writes as a whole or not at all."""
