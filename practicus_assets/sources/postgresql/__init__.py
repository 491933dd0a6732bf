"""PostgreSQL: its tables and queries as streams of exact types, read in one snapshot."""
