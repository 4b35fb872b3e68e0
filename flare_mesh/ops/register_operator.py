"""Registration of functions as operators of torch, which its compiler does not look into."""

import torch


def register_operator(schema: str):
    """Register a function as torch.ops.flare_mesh.<its name> on the CPU and on CUDA."""

    def register(function):
        name = f"flare_mesh::{function.__name__.removeprefix('_')}"
        torch.library.define(name, schema)
        torch.library.impl(name, ("cpu", "cuda"), function)
        return name

    return register
