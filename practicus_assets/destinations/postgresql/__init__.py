"""PostgreSQL as a destination: binary COPY and a marker, in one transaction."""
