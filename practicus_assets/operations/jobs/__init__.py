"""Jobs: the operations on tables as Dagster jobs; what one does is loaded when it runs."""
