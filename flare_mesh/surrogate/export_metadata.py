"""What an exported file says about its inputs and outputs."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flare_mesh._version import __version__
from flare_mesh.data.transforms.resolver import appended_channels
from flare_mesh.documents import load_json
from flare_mesh.files import existing_file
from flare_mesh.surrogate.exported_field import ExportedField
from flare_mesh.surrogate.surrogate import Surrogate

METADATA_KEY = "flare_mesh"
"""Key of the metadata in an ONNX file's ``metadata_props``."""
METADATA_FILE = "flare_mesh.json"
"""Name of the metadata among the ``extra_files`` of a ``.pt2`` file."""

_MAX_BYTES = 2**22
_FEATURES = "features"


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Read what a ``.pt2`` or ``.onnx`` file says about its inputs and outputs; runs no code of it.

    The keys are described in ``docs/export.md``. Without flare-mesh, the same
    JSON text is ``session.get_modelmeta().custom_metadata_map["flare_mesh"]`` in ONNX Runtime, and
    ``extra["flare_mesh.json"]`` after ``torch.export.load(path, extra_files=extra)``.

    Args:
        path: File that :func:`~flare_mesh.surrogate.export.export_program` or
            :func:`~flare_mesh.surrogate.export.export_onnx` has written.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If the file is ONNX and ``onnx`` is not installed.
        ValueError: If the file is damaged or has no such metadata.
    """
    path = existing_file(path)
    try:
        text = _onnx_text(path) if path.suffix.lower() == ".onnx" else _program_text(path)
        found = load_json(text)
        if not isinstance(found, dict):
            raise ValueError(f"expected a JSON object (got {type(found).__name__})")
    except ImportError:
        raise
    except Exception as error:  # damaged files end in errors of many types
        raise ValueError(
            f"{path}: expected a .pt2 or .onnx file that flare-mesh has exported, with metadata "
            f"({type(error).__name__}: {error})"
        ) from error
    return found


def _program_text(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        # torch puts everything into one folder.
        found = [one for one in archive.infolist() if one.filename.endswith(METADATA_FILE)]
        if not found:
            raise ValueError(f"no {METADATA_FILE} in it")
        if found[0].file_size > _MAX_BYTES:
            raise ValueError(f"its metadata have {found[0].file_size:,} bytes")
        return archive.read(found[0])


def _onnx_text(path: Path) -> str:
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            'reading an ONNX file needs onnx: pip install "flare-mesh[export]"'
        ) from error
    model = onnx.load(path, load_external_data=False)
    found = {entry.key: entry.value for entry in model.metadata_props}
    if METADATA_KEY not in found:
        raise ValueError(f"no '{METADATA_KEY}' among its metadata {[*found]}")
    return found[METADATA_KEY]


def metadata_text(field: ExportedField) -> str:
    """The metadata of an exported field, as JSON text."""
    return json.dumps(describe_field(field), indent=1)


def describe_field(field: ExportedField) -> dict[str, Any]:
    """What a program needs to know to run an exported field, in types of JSON."""
    surrogate = field.surrogate
    recipe = surrogate.info.get("recipe", {})
    fields = surrogate.fields if surrogate.rollout is None else surrogate.rollout.step_fields
    dtype = str(field.dtype).removeprefix("torch.")
    is_normalized = any(spec != "identity" for spec in surrogate.normalizers.values())
    return {
        "version": __version__,
        "model": surrogate.model.stored_name(),
        "inputs": _inputs(field, dtype, recipe),
        "output": {
            "name": "field",
            "shape": ["nodes", sum(fields.values())],
            "dtype": dtype,
            "fields": _layout(fields, surrogate.units),
        },
        "normalization": "inside" if is_normalized or surrogate.scale is not None else "none",
        "features": surrogate.features,
        "trained_with_weights": field.trained_with_weights,
        "time": _time(surrogate, recipe),
        "training_range": surrogate.training_range and asdict(surrogate.training_range),
        "data_set": recipe.get("dataset", ""),
        "source": recipe.get("source", ""),
    }


def _inputs(field: ExportedField, dtype: str, recipe: Mapping[str, Any]) -> list[dict[str, Any]]:
    surrogate, scale = field.surrogate, field.surrogate.scale
    inputs: list[dict[str, Any]] = []
    channels = surrogate.x_normalizer.channels
    if channels:
        meaning = (
            f"values at the nodes after the transforms of '{_FEATURES}', which the caller applies"
            if surrogate.features
            else "fields at the nodes, side by side; a number for the whole case at every node"
        )
        inputs.append(
            {
                "name": "x",
                "shape": ["nodes", channels],
                "dtype": dtype,
                "meaning": meaning,
                "fields": _layout_of_x(surrogate),
                "constant_channels": [] if scale is None else scale.case_channels,
            }
        )
    inputs.append(
        {
            "name": "pos",
            "shape": ["nodes", surrogate.pos_normalizer.channels],
            "dtype": dtype,
            "meaning": _coordinates(surrogate, recipe),
        }
    )
    if field.weight:
        meaning = "share of each node in the volume, area or length of the mesh, positive"
        inputs.append({"name": "weight", "shape": ["nodes"], "dtype": dtype, "meaning": meaning})
    if surrogate.model.uses_edges:
        meaning = "numbers from 0 of the two nodes of each edge of the mesh"
        shape = [2, "edges"]
        inputs.append({"name": "edge_index", "shape": shape, "dtype": "int64", "meaning": meaning})
    return inputs


def _coordinates(surrogate: Surrogate, recipe: Mapping[str, Any]) -> str:
    place = "centroids of the cells" if recipe.get("on") == "cells" else "nodes"
    text = f"coordinates of the {place}, in the unit of the training data"
    if recipe.get("origin") is not None:
        text += f", minus {tuple(recipe['origin'])}"
    return f"{text}; after '{_FEATURES}'" if surrogate.features else text


def _layout(fields: Mapping[str, int], units: Mapping[str, str]) -> list[dict[str, Any]]:
    """Name, first channel, number of channels and unit of each field, in their order."""
    first, layout = 0, []
    for name, size in fields.items():
        layout.append({"name": name, "first": first, "channels": size, "unit": units.get(name)})
        first += size
    return layout


def _layout_of_x(surrogate: Surrogate) -> list[dict[str, Any]]:
    """Layout of the inputs, then of the channels that the features append or compute."""
    layout = _layout(surrogate.inputs, surrogate.units)
    known, total = sum(surrogate.inputs.values()), surrogate.x_normalizer.channels
    appended = appended_channels(surrogate.features, surrogate.pos_normalizer.channels)
    if known + len(appended) == total:
        for first, channel in enumerate(appended, known):
            one = {"name": channel.name, "first": first, "channels": 1, "unit": None}
            layout.append({**one, "log": True} if channel.log else one)
    elif known < total:
        rest = {"first": known, "channels": total - known, "unit": None}
        layout.append({"name": _FEATURES, **rest})
    return layout


def _time(surrogate: Surrogate, recipe: Mapping[str, Any]) -> dict[str, Any] | None:
    if surrogate.rollout is not None:
        return {
            "steps_in": surrogate.rollout.num_in,
            "steps_out": 1,
            "meaning": "the output is the next step; to go on, drop the oldest step of each input "
            "'<field>_in' in x and append the output",
        }
    window = recipe.get("window")
    if window is None:
        return None
    meaning = "channel t C + c of a field is component c of C at step t"
    return {"steps_in": window[0], "steps_out": window[1], "meaning": meaning}
