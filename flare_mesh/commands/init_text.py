"""Text of the configuration that ``flare-mesh init`` writes."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from flare_mesh.commands.init_fields import FieldChoice
from flare_mesh.commands.init_settings import Settings
from flare_mesh.datasets.field_dataset import SquareSymmetry

_WIDTH = 100


def config_text(
    head: Sequence[str],
    *,
    run: str,
    budget: str,
    name: str,
    root: str,
    kind: str,
    options: Mapping[str, Any],
    comments: Mapping[str, Sequence[str]],
    fields: FieldChoice,
    settings: Settings,
    rollout: bool = False,
    features: Sequence[str] = (),
    symmetry: SquareSymmetry = SquareSymmetry(False, ""),  # noqa: B008
    columns: Mapping[str, Any] | None = None,
) -> str:
    """The text of a configuration, with the reasons as comments.

    Args:
        head: Comments at the beginning.
        run: Folder of the run.
        budget: Time for training.
        name: Name of the data set.
        root: Its folder.
        kind: Kind of its meshes.
        options: Options of the data set.
        comments: Comments before an option of the data set, by its name.
        fields: Inputs, targets and scales.
        settings: Settings that follow from the number of cases.
        rollout: Whether a time series is predicted step by step.
        features: Transforms of the data set before those that every mesh has.
        symmetry: Whether random symmetries of the square give valid cases, and why.
        columns: Options of ``random_square_symmetry`` for these inputs, features and targets, if
            they do.
    """
    lines = [*_comment(head)]
    lines += [f"out: {_flow(run)}"]
    lines += _comment(
        [
            "Time for training, such as 90s, 5m or 2h. The number of steps, the batch, "
            "the nodes drawn from each mesh and the size of the model follow from it."
        ]
    )
    lines += [f"budget: {_flow(budget)}"]
    lines += _comment(["Save the weights at the end, where the learning rate has fallen to zero."])
    lines += ["keep: last", "model:", "  name: flare", "  # auto, small, medium or large"]
    lines += ["  size: auto", *_scales(fields)]
    lines += _comment(["docs/accuracy.md compares Muon with AdamW."], 2)
    lines += ["  optimizer: {name: muon, lr: 1.0e-2, weight_decay: 1.0e-1}"]
    lines += ["  schedule: {name: cosine, pct_start: 0.05}"]
    if rollout:
        lines += _comment(["Each step is predicted from the steps before it."], 2)
        lines += ["  rollout: {feedback: prediction, pushforward: true, noise: 0.01}"]
    if symmetry.holds:
        lines += _comment(
            [
                "Each prediction is the average over the eight symmetries of data.augment, and so "
                "has them exactly. It takes eight times the time of one evaluation; training takes "
                "the same."
            ],
            2,
        )
        lines += ["  average_symmetries: true"]
    lines += ["data:", f"  name: {name}", f"  root: {_flow(root)}"]
    if options:
        lines.append("  options:")
        for key, value in options.items():
            lines += [*_comment(comments.get(key, ()), 4), f"    {key}: {_flow(value)}"]
    lines += _comment(
        [
            "Inputs that every mesh has: position in its bounding box, its size, and "
            "what else is usual for this kind of mesh."
        ],
        2,
    )
    lines += ["  features:", *(f"    - {own}" for own in features)]
    lines += [
        f"    - geometry_features: {{kind: {kind}}}",
        *_comment([symmetry.reason] if symmetry.reason else [], 2),
    ]
    if symmetry.holds:
        lines += ["  augment:", "    - random_square_symmetry:"]
        lines += [f"        {key}: {_flow(value)}" for key, value in (columns or {}).items()]
    lines += ["  sample_nodes: auto", "  batch_size: auto"]
    lines += [f"  in_memory: {_flow(settings.in_memory)}", *_split(settings)]
    return "\n".join([*lines, ""])


def _scales(fields: FieldChoice) -> list[str]:
    """The option ``scale_by`` with its reasons."""
    if not fields.scales and not fields.hints:
        return []
    reasons = [f"{name}: {scale.evidence}." for name, scale in fields.scales.items()]
    lines = _comment([*reasons, *(f"{hint}." for hint in fields.hints)], 2)
    scales = {
        name: one.scale[0] if len(one.scale) == 1 else [*one.scale]
        for name, one in fields.scales.items()
        if one.scale
    }
    if scales:
        lines += _comment(
            [
                "Each target is divided by this in every case, and its prediction is "
                "multiplied by it."
            ],
            2,
        )
        lines.append(f"  scale_by: {_flow(scales)}")
    return lines


def _split(settings: Settings) -> list[str]:
    lines = [] if settings.num_test else ["  # There is no folder 'test'.", "  test_split: null"]
    if settings.val_split is None:
        text = (
            f"{settings.num_train} cases to train on are too few to hold some out, so predictions "
            f"will have no bands. From 10 on, set val_split."
        )
        return [*lines, *_comment([text], 2)]
    text = "Cases to train on that are held out, to calibrate the bands of predictions."
    return [*lines, *_comment([text], 2), f"  val_split: {_flow(settings.val_split)}"]


def _comment(texts: Sequence[str], indent: int = 0) -> list[str]:
    lines = []
    for text in texts:
        prefix = " " * indent + "# "
        # A name with a line break of Unicode would end the comment, and go on as an option.
        printable = "".join(mark if mark.isprintable() else " " for mark in text)
        lines += textwrap.wrap(
            printable,
            _WIDTH,
            initial_indent=prefix,
            subsequent_indent=prefix + "  " * text.startswith("- "),
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


class _Dumper(yaml.SafeDumper):
    """Writer of YAML that quotes names like ``1e3``, which configurations read as numbers."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


def _flow(value: Any) -> str:
    """A value as YAML in one line."""
    text = yaml.dump(
        value,
        Dumper=_Dumper,
        default_flow_style=True,
        sort_keys=False,
        allow_unicode=True,
        width=float("inf"),
    )
    return text.removesuffix("\n").removesuffix("\n...")
