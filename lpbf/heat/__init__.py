"""Transient heat conduction in a part that is built layer by layer."""

from lpbf.heat.heat import Heat

__all__ = ["Heat"]
