"""The commands on tables at a glance: what there is, how it stands, and what is wrong with it."""
