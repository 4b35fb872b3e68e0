"""Transient heat conduction in a part that is built layer by layer."""
