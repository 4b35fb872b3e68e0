"""Precision of the matrix products of a prediction."""

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from flare_mesh.choices import check_choice

PRECISIONS = ("32", "bf16")
_UNITS = ("amx-bf16", "avx512bf16", "bf16")
"""LLVM's names of the instructions on x86 and ARM that multiply bfloat16 numbers."""


def check_precision(precision: str, device: torch.device) -> None:
    """Check the name of a precision, and log a line if it is slow on this processor.

    Raises:
        ValueError: If the name is unknown.
    """
    check_choice("precision: unknown", precision, PRECISIONS)
    if precision == "bf16" and device.type == "cpu" and not has_bf16_units():
        logging.getLogger(__name__).warning(
            "precision bf16: this processor has no instructions for products of bfloat16 (none of "
            "%s): the prediction takes longer than with precision 32", ", ".join(_UNITS),
        )  # fmt: skip


def has_bf16_units() -> bool:
    """Whether this processor multiplies bfloat16 numbers faster than float32 numbers."""
    from flare_mesh.compiled.processor import host_features

    return any(f"+{unit}" in host_features() for unit in _UNITS)


def in_precision(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Context for the evaluation of a model: linear layers in bfloat16, sums and norms in float32.

    A model whose weights are in bfloat16 needs no context.
    """
    if precision == "32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
