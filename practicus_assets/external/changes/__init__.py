"""Changes of sources: which partitions have another data version than Dagster has recorded of them."""
