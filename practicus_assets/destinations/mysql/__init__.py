"""MySQL and MariaDB as a destination: inserts and a marker, in one transaction of InnoDB."""
