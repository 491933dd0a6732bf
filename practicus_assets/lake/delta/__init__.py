"""Delta tables on a store: their log, files, protocol and snapshots."""
