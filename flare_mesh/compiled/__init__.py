"""Compilation of loops for the CPU, and the threads that run them."""
