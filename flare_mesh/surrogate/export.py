"""Export of trained models to files for other programs: ``torch.export`` and ONNX."""

import io
import logging
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule

from flare_mesh.files import atomic_path, check_folder
from flare_mesh.models.field_model import FieldModel
from flare_mesh.surrogate.export_metadata import METADATA_FILE, METADATA_KEY, metadata_text
from flare_mesh.surrogate.exported_field import ExportedField, PredictedField
from flare_mesh.surrogate.surrogate import Surrogate

_EXAMPLE = 24  # nodes of the mesh that a model is traced with
_SIZES = (1, 2, 7, 600)  # nodes of the meshes that a written file is tested with
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-6}  # relative to the field's largest value
_MAX_BYTES = 2**31 - 2**24  # an ONNX file is one protobuf message, at most 2 GiB


def export_program(
    model: FieldModel | Surrogate, path: str | Path, *, weight: bool | None = None
) -> None:
    """Export a model by ``torch.export`` to a ``.pt2`` file, which torch alone can run.

    ``torch.export.load(path).module()(pos=pos, x=x)`` computes the field on one mesh of any size,
    on the CPU and in evaluation mode. The file is loaded and compared with what
    :meth:`Surrogate.predict` computes from the same inputs, on meshes of several sizes, to 1e-4 of
    the field's largest value (1e-6 in float64), before it is moved to ``path``. It says what its
    inputs and outputs are: :func:`~flare_mesh.surrogate.read_metadata`.

    ``torch.export.load`` may unpickle parts of the file: load only files that you or someone you
    trust has written. To share a model, prefer ``model.save``, which writes no code.

    Args:
        model: A model or a surrogate. The program of a surrogate maps coordinates and features in
            physical units, after its ``features``, to physical fields; for a time series, to the
            next step.
        path: File to write, ``.pt2``.
        weight: Whether the quadrature weights of the nodes are an input; by default, if the model
            was trained with them. Another choice than in training gives a warning with the
            difference from the prediction.

    Shapes:
        Inputs by name: ``x`` [N, in_channels], unless the model has no features; ``pos``
        [N, pos_dim]; ``weight`` [N], with weights; ``edge_index`` [2, E] int64, if the model uses
        edges. Output [N, out_channels], the fields side by side in the order of
        ``surrogate.fields``.

    Raises:
        ValueError: If the model cannot be exported, or the results of the file differ.
    """
    target = _target(path, ".pt2")
    field, predicted = ExportedField(model, weight), PredictedField(model)
    program = _trace(field)
    content = io.BytesIO()
    with atomic_path(target) as temporary, _quiet():
        # If the disk is full, torch's own output ends the process.
        extra = {METADATA_FILE: metadata_text(field)}
        torch.export.save(program, content, extra_files=extra)
        temporary.write_bytes(content.getbuffer())
        loaded = torch.export.load(temporary).module()
        _compare(field, predicted, lambda inputs: loaded(**inputs))
    _warn_of_weights(field, predicted, target)


def export_onnx(
    model: FieldModel | Surrogate,
    path: str | Path,
    *,
    weight: bool | None = None,
    opset: int | None = None,
) -> None:
    """Export a model to an ONNX file, for ONNX Runtime and others, on one mesh of any size.

    The inputs have the names of the model's arguments; the output is called ``field``. The file is
    run in ONNX Runtime and compared with what :meth:`Surrogate.predict` computes, as in
    :func:`export_program`, before it is moved to ``path``. It says what its inputs and outputs
    are: :func:`~flare_mesh.surrogate.read_metadata`.

    Args:
        model: As in :func:`export_program`.
        path: File to write, ``.onnx``.
        weight: As in :func:`export_program`.
        opset: Version of the ONNX operators, at least 18; by default torch's choice.

    Shapes:
        As in :func:`export_program`.

    Raises:
        ImportError: If onnx, onnxscript or onnxruntime is not installed.
        ValueError: If the model cannot be exported, or the results of the file differ.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  needed by torch's exporter
    except ImportError as error:
        raise ImportError(
            "exporting to ONNX needs onnx, onnxscript and onnxruntime: pip install "
            '"flare-mesh[export]"'
        ) from error
    target = _target(path, ".onnx")
    if opset is not None and opset < 18:
        raise ValueError(f"export_onnx: expected 'opset' >= 18 (got {opset})")
    field, predicted = ExportedField(model, weight), PredictedField(model)
    size = sum(t.numel() * t.element_size() for t in field.state_dict().values())
    if size > _MAX_BYTES:
        raise ValueError(
            f"{field.name}: expected weights of less than 2 GiB for an ONNX file (got "
            f"{size / 2**30:.1f} GiB); export to .pt2"
        )
    program = _trace(field)
    with atomic_path(target) as temporary:
        with _export_errors(field, "it cannot be translated to ONNX"), _quiet():
            written = torch.onnx.export(
                program,
                dynamo=True,
                input_names=[*field.example(1)],
                output_names=["field"],
                opset_version=opset,
                verbose=False,
                custom_translation_table={torch.ops.aten.sort.stable: _stable_sort},
            )
        assert written is not None
        written.model.metadata_props[METADATA_KEY] = metadata_text(field)
        written.save(temporary, external_data=False)
        with _export_errors(field, "ONNX Runtime cannot load the file"), _quiet():
            session = onnxruntime.InferenceSession(
                str(temporary), providers=["CPUExecutionProvider"]
            )

        def run(inputs: dict[str, Tensor]) -> Tensor:
            arrays = {key: tensor.numpy() for key, tensor in inputs.items()}
            return torch.from_numpy(session.run(["field"], arrays)[0])

        _compare(field, predicted, run)
    _warn_of_weights(field, predicted, target)


def _stable_sort(values, stable=None, dim=-1, descending=False):
    """ONNX's TopK, which keeps the order of equal values; torch translates other sorts only."""
    from onnxscript.function_libs.torch_lib.ops.core import aten_sort

    return aten_sort(values, dim=dim, descending=descending)


def _target(path: str | Path, suffix: str) -> Path:
    if Path(path).suffix.lower() != suffix:
        raise ValueError(f"{path}: expected a file name that ends in {suffix}")
    check_folder(path)
    return Path(path)


def _trace(field: ExportedField) -> ExportedProgram:
    inputs = field.example(_EXAMPLE)
    nodes, edges = Dim("nodes", min=1), Dim("edges", min=1)
    shapes = {key: {1: edges} if key == "edge_index" else {0: nodes} for key in inputs}
    with _export_errors(field, "its program depends on values or on the number of nodes"), _quiet():
        program = torch.export.export(field, (), kwargs=inputs, dynamic_shapes=shapes, strict=False)
    # Regions without autocast are graphs of their own.
    graphs = [m.graph for m in program.graph_module.modules() if isinstance(m, GraphModule)]
    for node in (node for graph in graphs for node in graph.nodes):
        if isinstance(node.target, torch._ops.OpOverload) and node.target.namespace != "aten":
            raise ValueError(
                f"{field.name}: cannot be exported: it calls {node.target}, which is not an "
                f"operator of torch"
            )
    return program


def _compare(
    field: ExportedField, predicted: PredictedField, run: Callable[[dict[str, Tensor]], Tensor]
) -> None:
    """Raise a ValueError if the results of the written file differ from the prediction."""
    for nodes in _SIZES:
        inputs = field.example(nodes)
        expected = predicted(inputs)
        with _export_errors(field, f"the written file does not run on {nodes} nodes"):
            got = run(inputs).reshape(expected.shape)
        error, largest = float((got - expected).abs().max()), float(expected.abs().max())
        if not error <= _TOLERANCE[field.dtype] * largest:
            raise ValueError(
                f"{field.name}: cannot be exported: on {nodes} nodes the written file differs from "
                f"the prediction by {error:.1e} (expected at most {_TOLERANCE[field.dtype]:.0e} of "
                f"the largest value, {largest:.1e})"
            )


def _warn_of_weights(field: ExportedField, predicted: PredictedField, path: Path) -> None:
    """Warn if weights are an input but were not in training, or the other way round."""
    if field.trained_with_weights in (None, field.weight):
        return
    inputs = field.example(_SIZES[-1])
    weight = inputs.pop("weight", None)
    plain = predicted(inputs)
    weighted = predicted({**inputs, "weight": field.example_weights(_SIZES[-1])})
    used, own = (plain, weighted) if weight is None else (weighted, plain)
    size = own.norm(dim=0).clamp_min(torch.finfo(own.dtype).tiny)
    difference = float(((used - own).norm(dim=0) / size).max())
    here, there = ("without", "with") if weight is None else ("with", "without")
    warnings.warn(
        f"{path}: computes {here} node weights, but the model was trained {there} them, and "
        f"`predict` computes {there} them: on random points with weights from 0.1 to 1.1 the "
        f"fields differ by up to {100 * difference:.2g} %. Leave out the option 'weight' to export "
        f"what `predict` computes",
        stacklevel=3,
    )


@contextmanager
def _export_errors(field: ExportedField, problem: str) -> Iterator[None]:
    """Turn every error of torch's exporters and of the runtimes into one ValueError."""
    try:
        yield
    except Exception as error:
        first: BaseException = error
        while first.__cause__ is not None:  # the exporter wraps it in pages of its own
            first = first.__cause__
        reason = textwrap.shorten(str(first), 200)
        raise ValueError(f"{field.name}: cannot be exported: {problem} ({reason})") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the output of torch's exporters, such as whole graphs and deprecations."""
    logger: Any = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)
