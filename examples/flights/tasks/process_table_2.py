"""The worst weather of each day, by airport."""

from data import read

from practicus_assets import task

weather = read("weather.csv").groupby(["day", "origin"], as_index=False)
task.table("table2_new").replace(weather.agg(visib=("visib", "min"), precip=("precip", "sum")))
