"""Workers that are processes on this machine.

Each step is forked from a server that has the libraries loaded, and is watched until it ends.
"""
