"""Checks that workers can run where they are sent, before the first run.

One module per kind of check: the cluster's rights, objects and nodes, the code servers, and a trial pod.
A check reports a finding with advice; it changes nothing.
"""
