"""Tables of other systems as Dagster assets: sources that are read, and exports that are written."""
