"""Equilibrium on voxels: elements, layers, solvers."""
