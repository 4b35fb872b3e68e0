"""Conjugate gradients, multigrid and the compiled kernels under them."""
