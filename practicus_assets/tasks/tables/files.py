"""The files by which a script gives rows to the step that runs it, as both know them."""

ORDER = "order.json"  # of a table's folder: how its rows are to be stored, and its declared columns
FINISHED, UNFINISHED = ".arrow", ".part"
CHUNKS = f"*{FINISHED}"
