"""A table of all models and mixing layers."""

from functools import cache
from typing import Any, NamedTuple

import torch

from flare_mesh.models.registry import MODELS, build
from flare_mesh.nn.mixer import MIXERS, check_mixer


class _About(NamedTuple):
    """What the code of a model does not say.

    Attributes:
        source: arXiv number, or the repository, of the equations.
        cost: Operations of a layer; N nodes, E edges, C channels, D channels of a head, M latents
            or slices.
        use: What it is good for.
    """

    source: str
    cost: str
    use: str


_ABOUT = {
    "flare": _About("2508.12594, 2608.11519", "N M C", "the default: large meshes, any geometry"),
    "gnot": _About("2302.14376", "N C D", "several experts chosen by the coordinates"),
    "lno": _About("2406.03923", "N M C", "one encode and decode; deep mixing of latents"),
    "perceiver_io": _About("2107.14795", "N M C", "as lno, with scores from attention"),
    "transformer": _About("1706.03762", "N^2 C", "small meshes; the most general mixing"),
    "transolver": _About("2402.02366", "N M C", "meshes, and grids with convolutions"),
    "transolver++": _About("2502.02414", "N M C", "sharper slices than transolver"),
    "lamo": _About("2505.19105", "N M C", "slices mixed by a state-space layer"),
    "meshgraphnet": _About("2010.03409", "E C^2", "local physics"),
    "geotransolver": _About("2512.20399", "N M C", "fields ruled by the geometry around a node"),
    "upt": _About("2402.12365", "E C^2 + N M C", "encode once, then evaluate anywhere"),
    "ab_upt": _About("2502.09692", "N M C", "fields on more points than fit into memory"),
    "softmax": _About("1706.03762", "N^2 C", "reference of all the others"),
    "physics": _About("2402.02366", "N M C", "transolver's layer"),
    "flare_shared": _About("NVIDIA PhysicsNeMo", "N M C", "FLARE with fewer parameters"),
    "linear": _About("2006.16236", "N C D", "many nodes at the least cost"),
    "performer": _About("2009.14794", "N C M", "an estimate of softmax attention"),
    "linformer": _About("2006.04768", "N C M", "sequences of a known length"),
    "nystromformer": _About("2102.03902", "N C M + M^3", "softmax attention of smooth fields"),
    "linear_no": _About("2511.06294", "N C M", "slices at the least cost"),
    "multilinear": _About("vpuri3/FLARE.py", "N C D", "products of several linear attentions"),
    "triple": _About("vpuri3/FLARE.py", "N C D^2", "interactions of three nodes, linear in N"),
    "quad": _About("vpuri3/FLARE.py", "N C D^3", "interactions of four; narrow heads"),
    "strassen": _About("2501.19215, vpuri3/FLARE.py", "N C D", "products of two linear attentions"),
    "third_order": _About("2507.02754, 2501.19215", "N^3 C", "exact pairs; some hundred nodes"),
    "ema": _About("2209.10655", "N^2 C", "sequences; N C log N in chunks"),
}
_SIZES = {"in_channels": 0, "out_channels": 1, "pos_dim": 2}


class ModelRow(NamedTuple):
    """A row of the table.

    Attributes:
        name: Name in configurations.
        kind: ``"model"``, or ``"mixer"`` for a layer in the model ``backbone``.
        source: arXiv number, or the repository, of the equations.
        use: What it is good for.
        cost: Operations of a layer.
        parameters: Number of parameters at two inputs and one output with default options; those
            of a mixer in a backbone of 8 layers of 64 channels.
        needs: ``"edges"``, ``"order"`` (of the nodes, along a space-filling curve), or nothing.
    """

    name: str
    kind: str
    source: str
    use: str
    cost: str
    parameters: int
    needs: str


@cache
def overview() -> tuple[ModelRow, ...]:
    """Every model and mixing layer. All take batches of unequal meshes without padding."""
    rows = []
    for name in [*(name for name in MODELS if name != "backbone"), *MIXERS]:
        is_mixer = name in MIXERS
        options: dict[str, Any] = {"mixer": name} if is_mixer else {}
        with torch.device("meta"):  # only the sizes are needed
            model = build("backbone" if is_mixer else name, **_SIZES, **options)
        ordered = is_mixer and getattr(check_mixer(name), "ORDERED", False)
        needs = "edges" if model.uses_edges else "order" if ordered else ""
        about = _ABOUT[name]
        parameters = sum(p.numel() for p in model.parameters())
        kind = "mixer" if is_mixer else "model"
        rows.append(ModelRow(name, kind, about.source, about.use, about.cost, parameters, needs))
    return tuple(rows)


def markdown() -> str:
    """The table of :func:`overview` in Markdown."""
    lines = [
        "| name | | source | good for | cost of a layer | parameters | needs |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in overview():
        source = ", ".join(
            f"[{one}](https://arxiv.org/abs/{one})" if one[0].isdigit() else one
            for one in row.source.split(", ")
        )
        lines.append(
            f"| `{row.name}` | {row.kind} | {source} | {row.use} | {row.cost} "
            f"| {row.parameters:,} | {row.needs} |"
        )
    return "\n".join(lines)
