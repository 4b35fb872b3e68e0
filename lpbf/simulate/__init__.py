"""Layer-by-layer simulation of a part."""

from lpbf.simulate.simulate import simulate

__all__ = ["simulate"]
