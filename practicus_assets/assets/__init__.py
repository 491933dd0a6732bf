"""Tables as Dagster assets: the decorator, the IO manager, and what they report."""
