"""Files as a destination: one object per partition, which is replaced as a whole or not at all."""
