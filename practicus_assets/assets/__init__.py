"""Tables as Dagster assets: the decorator, the IO manager, and what they report.

A step's way through one transaction begins and ends here: which scope it replaces, which versions it
reads, and which metadata and check results Dagster shows. How rows are stored is the lake's business.
"""
