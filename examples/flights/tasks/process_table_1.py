"""Flights and their mean delay, by day and airport."""

from data import read

from practicus_assets import task

flights = read("flights.csv.zip").groupby(["day", "origin"], as_index=False)
table = flights.agg(flights=("flight", "size"), dep_delay=("dep_delay", "mean"))
print(f"{len(table):,} days of airports")
task.table("table1_new").replace(table)
