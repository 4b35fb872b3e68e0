"""``flare-mesh export``: trained models for other programs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def export(
    model: str,
    out: str,
    weight: bool | None = None,
    opset: int | None = None,
    trust_code: bool = False,
) -> None:
    """Write a trained model as ONNX, or as a program of ``torch.export``, for meshes of any size.

    Args:
        model: Folder or checkpoint of a trained surrogate (physical units in and out), or folder of
            a model.
        out: File to write: ``.onnx`` for ONNX Runtime and others, ``.pt2`` for torch without
            flare-mesh.
        weight: Whether the nodes' quadrature weights are an input; by default, if the model was
            trained with them.
        opset: Version of the ONNX operator set, 18 or later.
        trust_code: Accept a model of a class outside flare-mesh; its code is run.
    """
    suffix = Path(out).suffix.lower()
    if suffix not in (".onnx", ".pt2"):
        raise ValueError(f"{out}: expected a file name that ends in .onnx or .pt2")
    if opset is not None and suffix != ".onnx":
        raise ValueError(f"{out}: 'opset' belongs to .onnx files (got {opset})")

    from flare_mesh.models import FieldModel, load
    from flare_mesh.surrogate import Surrogate, load_surrogate, read_metadata
    from flare_mesh.surrogate.export import export_onnx, export_program

    loaded: FieldModel | Surrogate
    if (Path(model) / "model.safetensors").is_file():
        stored = load(model, trust_code=trust_code)
        if not isinstance(stored, FieldModel):
            raise ValueError(
                f"{model}: expected a model of fields (got '{stored.stored_name()}', of "
                "sequences); load it by flare_mesh.models.load"
            )
        loaded = stored
    else:
        loaded = load_surrogate(model, trust_code=trust_code)
    if suffix == ".onnx":
        export_onnx(loaded, out, weight=weight, opset=opset)
    else:
        export_program(loaded, out, weight=weight)
    print(f"exported, and compared with the model's predictions: {out}")
    metadata = read_metadata(out)
    for tensor in metadata["inputs"]:
        print(f"input {_signature(tensor)}")
    print(f"output {_signature(metadata['output'])}")
    if metadata["features"]:
        print(f"x is computed before, by the transforms {json.dumps(metadata['features'])}")


def _signature(tensor: Mapping[str, Any]) -> str:
    """Name, shape and fields of a tensor: ``x [nodes, 4]: load (1, N), displacement (3, mm)``."""
    shape = ", ".join(map(str, tensor["shape"]))
    fields = ", ".join(
        f"{one['name']} ({one['channels']}{', ' + one['unit'] if one['unit'] else ''})"
        for one in tensor.get("fields", ())
    )
    return f"{tensor['name']} [{shape}]" + (f": {fields}" if fields else "")
