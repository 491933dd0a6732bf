"""Spark Connect: table functions over Spark DataFrames, whose rows an engine stages for the transaction."""
