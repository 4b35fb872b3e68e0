"""Data sets of simulated parts: what they are made of, their files."""
