"""Data sets of simulated parts: cases, settings and files."""
