"""Linear solvers: conjugate gradients, multigrid, and their compiled kernels."""
