"""Files that an engine wrote: listed, held against the table, audited and staged where they are."""
