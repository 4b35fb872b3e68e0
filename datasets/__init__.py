"""Data sets as PyG data sets; installed as ``flare_mesh.datasets``."""

from flare_mesh.datasets.lpbf import LPBF

__all__ = ["LPBF"]
