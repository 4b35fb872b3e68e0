"""Generators of data sets, from their recipes."""
