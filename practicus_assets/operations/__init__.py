"""What an operator does to the tables of a code location, and the Dagster jobs that do it.

Commands and jobs call the same functions: these choose the tables, ask the lake, and report to Dagster
what changed.
"""
