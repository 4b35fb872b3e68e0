"""What a model of a benchmark needs and the configuration of the data lacks."""

from typing import Any

from flare_mesh.mesh import MeshData
from flare_mesh.models import FieldModel
from flare_mesh.nn.mixer import check_mixer
from flare_mesh.training.data_module import FieldDataModule

_LENGTH = "max_nodes"


def with_edges(
    config: dict[str, Any], label: str, model: FieldModel, data: FieldDataModule
) -> dict[str, Any]:
    """A configuration whose cases have edges, if its model uses them.

    Prints the transform that is added to ``data.features``, if the cases have no edges without it.

    Args:
        config: Configuration of a run.
        label: Name of the model in the table.
        model: The model.
        data: The data.
    """
    if not model.uses_edges:
        return config
    cases = data.cases("train")
    case: Any = cases.dataset[cases.indices[0]]
    if cases.features is not None:
        case = cases.features(case)
    if case.edge_index is not None:
        return config
    edges = model.edge_transform(isinstance(case, MeshData) and bool(case.num_cells))
    name = edges if isinstance(edges, str) else "{}: {}".format(*next(iter(edges.items())))
    print(f"{label}: needs edges, which data.features does not make; adds {name}", flush=True)
    given = config["data"]
    return {**config, "data": {**given, "features": [*(given.get("features") or []), edges]}}


def with_lengths(model: dict[str, Any], label: str, data: FieldDataModule) -> dict[str, Any]:
    """A model whose mixing layer takes graphs as large as the largest case.

    Mixing layers with parameters for each place of a graph have a largest number of nodes,
    ``max_nodes``. It is chosen from all cases unless the model gives it; prints the number.

    Args:
        model: Part ``model`` of a configuration.
        label: Name of the model in the table.
        data: The data.
    """
    options = model.get("options") or {}
    mixer, given = options.get("mixer"), options.get("mixer_options") or {}
    sized = mixer is not None and getattr(check_mixer(mixer), "SIZED", False)
    if not sized or _LENGTH in given:
        return model
    longest = max(
        len(data.cases(stage)[i].pos)  # pyright: ignore[reportArgumentType]
        for stage in ("train", "val", "test")
        if data.has(stage)
        for i in range(len(data.cases(stage)))
    )
    print(f"{label}: {_LENGTH} {longest:,}, the nodes of the largest case", flush=True)
    return {**model, "options": {**options, "mixer_options": {**given, _LENGTH: longest}}}
