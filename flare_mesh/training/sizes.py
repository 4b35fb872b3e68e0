"""Sizes of a run that are chosen for the data and the time: model, batch, nodes a step.

All numbers of these choices are in this file.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from flare_mesh.choices import check_choice

SizeName = Literal["auto", "small", "medium", "large"]

# Linear keys and values with synthesized queries (FLARE++) learn as much in fewer operations.
_RECIPE = {"kv_layers": -1, "ffn_layers": 1, "head_layers": 1, "queries": "synthesized"}

SIZES: Mapping[str, Mapping[str, Any]] = {
    "small": {"hidden_channels": 32, "num_layers": 3, "heads": 4, "num_latents": 32, **_RECIPE},
    "medium": {"hidden_channels": 64, "num_layers": 3, "heads": 8, "num_latents": 64, **_RECIPE},
    "large": {"hidden_channels": 128, "num_layers": 4, "heads": 8, "num_latents": 64, **_RECIPE},
}
"""Options of :class:`~flare_mesh.FLAREOperator` by the name of the size, in rising order."""

MIN_STEPS = 2000
"""Steps below which a larger model is not worth its time."""
SAMPLED_NODES = 256
"""Nodes drawn from a case at each step; more steps are worth more than more nodes."""
WHOLE_NODES = 384
"""If no case has more nodes than this, no nodes are drawn."""
FIELD_NODES = 2048
"""The same, and nodes drawn, for cases with an input field, of which only drawn nodes are known."""
BATCH_CASES = 8
"""Largest number of cases a step."""
BATCHES_A_PASS = 4
"""A batch has fewer cases if a pass over all cases would have fewer batches than this."""
MAX_NODES = 16384
"""A batch has fewer cases if a step would have more nodes than this."""
EVALUATIONS = 20
"""Number of validations and checkpoints of a run with a time budget."""
VALIDATION_SHARE = 0.1
"""Largest share of the time for validations, above which there are fewer."""
FEWEST_STEPS = 20
"""Steps below which a time budget is refused."""


def size_options(model: str | type, size: str | None) -> dict[str, Any]:
    """Options of a model's size by name.

    Args:
        model: Name of the model.
        size: One of :data:`SIZES`; None for no options.

    Raises:
        ValueError: If there is no such size, or the model has none.
    """
    if size is None:
        return {}
    check_choice("model.size: unknown size", size, SIZES)
    if model != "flare":
        raise ValueError(
            f"model.size: the sizes are those of the model 'flare' (got '{model}'); give "
            f"model.options instead"
        )
    return dict(SIZES[size])


def choose_sample(sizes: Sequence[int], *, has_fields: bool = False) -> int | None:
    """Nodes to draw from each training case a step; None for whole cases.

    Args:
        sizes: Number of nodes of each training case.
        has_fields: Whether an input varies over the nodes of a case.
    """
    largest = max(sizes, default=0)
    if has_fields:
        return FIELD_NODES if largest > FIELD_NODES else None
    return SAMPLED_NODES if largest > WHOLE_NODES else None


def choose_batch(sizes: Sequence[int], sample: int | None) -> int:
    """Cases a step.

    Args:
        sizes: Number of nodes of each training case.
        sample: Nodes drawn from each case; None for whole cases.
    """
    mean = sum(sizes) / max(1, len(sizes))
    nodes = mean if sample is None else min(mean, sample)
    fitting = int(MAX_NODES / max(1.0, nodes))
    return max(1, min(BATCH_CASES, len(sizes) // BATCHES_A_PASS, fitting))


def choose_size(seconds: float, step_seconds: Callable[[str], float]) -> tuple[str, float]:
    """The largest size of which enough steps fit into a time, and the seconds of its step.

    Args:
        seconds: The time.
        step_seconds: Measures the step of a size.
    """
    chosen, fastest = "", 0.0
    for name in SIZES:
        step = step_seconds(name)
        if not chosen or seconds / step >= MIN_STEPS:
            chosen, fastest = name, step
        else:
            break
    return chosen, fastest
