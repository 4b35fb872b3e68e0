"""Layers that mix the nodes of each graph, one a file."""
