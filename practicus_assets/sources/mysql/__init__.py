"""MySQL and MariaDB: their tables and queries by the binary protocol, read in one snapshot."""
