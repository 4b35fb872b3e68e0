"""Generators of published data sets, from their recipes."""
