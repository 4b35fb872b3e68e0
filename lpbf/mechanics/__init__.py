"""Mechanical equilibrium of a voxel part: layers, elastic and elastoplastic steps."""
