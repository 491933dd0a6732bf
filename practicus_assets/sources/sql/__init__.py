"""SQL: names, conditions with bound values, and data versions, as all databases have them."""
