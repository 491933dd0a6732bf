"""Ticks of the sensor of notifications: what it reads and tells, and what it keeps until the next."""
