"""``flare-mesh export``: trained models for other programs."""

from pathlib import Path


def export(model: str, out: str, weight: bool = False, opset: int | None = None) -> None:
    """Write a trained model as ONNX, or as a program of ``torch.export``, for meshes of any size.

    Args:
        model: Folder of a trained surrogate (physical units in and out), or of a model.
        out: File to write: ``.onnx`` for ONNX Runtime and others, ``.pt2`` for torch without
            flare-mesh.
        weight: Export the nodes' quadrature weights as an input.
        opset: Version of the ONNX operator set, 18 or later.
    """
    suffix = Path(out).suffix.lower()
    if suffix not in (".onnx", ".pt2"):
        raise ValueError(f"{out}: expected a file name that ends in .onnx or .pt2")
    if opset is not None and suffix != ".onnx":
        raise ValueError(f"{out}: 'opset' belongs to .onnx files (got {opset})")

    from flare_mesh.models import load
    from flare_mesh.surrogate.export import export_onnx, export_program
    from flare_mesh.surrogate.surrogate import Surrogate

    is_model = (Path(model) / "model.safetensors").is_file()
    loaded = load(model) if is_model else Surrogate.load(model)
    if suffix == ".onnx":
        export_onnx(loaded, out, weight=weight, opset=opset)
    else:
        export_program(loaded, out, weight=weight)
    print(f"exported and compared with the model: {out}")
