"""Trained models as files that other programs run: torch's exported programs and ONNX."""

import copy
import io
import logging
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule

from flare_mesh.data import IdentityNormalizer
from flare_mesh.files import atomic_path, check_folder
from flare_mesh.models.field_model import FieldModel
from flare_mesh.surrogate.surrogate import Surrogate

_EXAMPLE = 24  # nodes that a model is traced with
_SIZES = (1, 2, 7, 600)  # nodes that a written file is tried with
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-6}  # of the largest value of the field
_MOST = 2**31 - 2**24  # bytes: an ONNX file is one protobuf message, at most 2 GiB


def export_program(
    model: FieldModel | Surrogate, path: str | Path, *, weight: bool = False
) -> None:
    """Writes a ``.pt2`` file by ``torch.export``: one mesh of any size, run by torch alone.

    ``torch.export.load(path).module()(pos=pos, x=x)`` gives the field. The program computes on the
    CPU and in evaluation mode. Before the file is put in place it is loaded again and compared to
    the model on several sizes of mesh, to 1e-4 of the field's largest value (1e-6 in float64).

    ``torch.export.load`` may unpickle parts of the file: load only what you or someone you trust
    has written. Models to share are better saved by ``model.save``, which holds no code.

    Args:
        model: A model, or a surrogate. The surrogate's file takes coordinates and features in
            physical units, with what its ``features`` make of a mesh in x, and gives physical
            fields; of a time series, the next step.
        path: File to write, ``.pt2``.
        weight: Gives the program the weights of the nodes as an input.

    Shapes:
        ``x`` [N, in_channels], left out for a model without features; ``pos`` [N, pos_dim];
        ``weight`` [N], if asked for; ``edge_index`` [2, E] int64, for a model that looks at
        edges; output [N, out_channels]. All by name.

    Raises:
        ValueError: If the model cannot be exported, or the file's result is another.
    """
    target = _target(path, ".pt2")
    field = _Field(model)
    program = _trace(field, weight)
    with atomic_path(target) as temporary, _quiet():
        torch.export.save(program, temporary)
        loaded = torch.export.load(temporary).module()
        _compare(field, weight, lambda inputs: loaded(**inputs))


def export_onnx(
    model: FieldModel | Surrogate,
    path: str | Path,
    *,
    weight: bool = False,
    opset: int | None = None,
) -> None:
    """Writes an ONNX file: one mesh of any size, run by ONNX Runtime and others.

    The inputs are called as the arguments of the model, the output ``field``. Before the file is
    put in place it is run in ONNX Runtime and compared to the model on several sizes of mesh, to
    1e-4 of the field's largest value (1e-6 in float64).

    Args:
        model: As for :func:`export_program`.
        path: File to write, ``.onnx``.
        weight: Gives the graph the weights of the nodes as an input.
        opset: Version of ONNX's operators, 18 or later; by default that which torch writes best.

    Shapes:
        As :func:`export_program`.

    Raises:
        ImportError: If onnx, onnxscript or onnxruntime is not installed.
        ValueError: If the model cannot be exported, or the file's result is another.
    """
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  torch's exporter is built on it
    except ImportError as error:
        raise ImportError(
            "exporting to ONNX needs onnx, onnxscript and onnxruntime: pip install "
            '"flare-mesh[export]"'
        ) from error
    target = _target(path, ".onnx")
    if opset is not None and opset < 18:
        raise ValueError(f"export_onnx: expected 'opset' >= 18 (got {opset})")
    field = _Field(model)
    size = sum(t.numel() * t.element_size() for t in field.state_dict().values())
    if size > _MOST:
        raise ValueError(
            f"{field.name}: its weights take {size / 2**30:.1f} GiB, and an ONNX file holds less "
            "than 2; export it to .pt2"
        )
    program = _trace(field, weight)
    names = list(_example(field, 1, weight))
    with atomic_path(target) as temporary:
        with _reasons(field, "ONNX has no operators for it"), _quiet():
            written = torch.onnx.export(
                program,
                dynamo=True,
                input_names=names,
                output_names=["field"],
                opset_version=opset,
                verbose=False,
            )
            assert written is not None
            written.save(temporary, external_data=False)
            session = onnxruntime.InferenceSession(
                str(temporary), providers=["CPUExecutionProvider"]
            )
        _compare(
            field,
            weight,
            lambda inputs: torch.from_numpy(
                session.run(["field"], {key: t.numpy() for key, t in inputs.items()})[0]
            ),
        )


class _Field(nn.Module):
    """A copy of a model that computes in torch's own operators, and all its inputs by name."""

    def __init__(self, model: FieldModel | Surrogate) -> None:
        super().__init__()
        if isinstance(model, Surrogate):
            self.pos_normalizer = copy.deepcopy(model.pos_normalizer)
            self.x_normalizer = copy.deepcopy(model.x_normalizer)
            self.y_normalizer = copy.deepcopy(model.y_normalizer)
            model = model.model
        else:
            self.pos_normalizer = IdentityNormalizer(model.config["pos_dim"])
            self.x_normalizer = IdentityNormalizer(model.config["in_channels"])
            self.y_normalizer = IdentityNormalizer(model.config["out_channels"])
        self.model = copy.deepcopy(model)
        self.name = type(model).__name__
        self.dtype = next(model.parameters()).dtype
        if self.dtype not in _TOLERANCE:
            raise ValueError(
                f"{self.name}: expected a model in float32 or float64 to export (got "
                f"{self.dtype}); call model.float() first"
            )
        for module in self.model.modules():
            if isinstance(getattr(module, "backend", None), str):
                setattr(module, "backend", "sdpa")  # noqa: B010  no attribute of every module
        self.requires_grad_(False).to("cpu", self.dtype).eval()

    def forward(
        self,
        x: Tensor | None = None,
        pos: Tensor | None = None,
        weight: Tensor | None = None,
        edge_index: Tensor | None = None,
    ) -> Tensor:
        x = None if x is None else self.x_normalizer(x)
        pos = self.pos_normalizer(pos)
        field = self.model(x, pos, weight=weight, edge_index=edge_index)
        return self.y_normalizer.inverse(field)


def _target(path: str | Path, suffix: str) -> Path:
    if Path(path).suffix.lower() != suffix:
        raise ValueError(f"{path}: expected a file name that ends in {suffix}")
    check_folder(path)
    return Path(path)


def _example(field: _Field, nodes: int, weight: bool) -> dict[str, Tensor]:
    """Inputs of a mesh of random points, in the range of the training data."""
    generator = torch.Generator().manual_seed(nodes)
    inputs = {}
    for key, normalizer in (("x", field.x_normalizer), ("pos", field.pos_normalizer)):
        if normalizer.channels:
            size = (nodes, normalizer.channels)
            inputs[key] = normalizer.inverse(
                torch.randn(size, generator=generator, dtype=field.dtype)
            )
    if weight:
        inputs["weight"] = torch.rand(nodes, generator=generator, dtype=field.dtype) + 0.1
    if field.model.uses_edges:
        inputs["edge_index"] = torch.randint(nodes, (2, 3 * nodes), generator=generator)
    return inputs


def _trace(field: _Field, weight: bool) -> ExportedProgram:
    inputs = _example(field, _EXAMPLE, weight)
    nodes, edges = Dim("nodes", min=1), Dim("edges", min=1)
    shapes = {key: {1: edges} if key == "edge_index" else {0: nodes} for key in inputs}
    with _reasons(field, "what it computes depends on values or on the number of nodes"), _quiet():
        program = torch.export.export(field, (), kwargs=inputs, dynamic_shapes=shapes, strict=False)
    # What runs without autocast stands in graphs of its own.
    graphs = [m.graph for m in program.graph_module.modules() if isinstance(m, GraphModule)]
    for node in (node for graph in graphs for node in graph.nodes):
        if isinstance(node.target, torch._ops.OpOverload) and node.target.namespace != "aten":
            raise ValueError(
                f"{field.name}: cannot be exported: it calls {node.target}, which is not torch's "
                "own"
            )
    return program


def _compare(field: _Field, weight: bool, run: Callable[[dict[str, Tensor]], Tensor]) -> None:
    """Refuses a written file whose results are not those of the model."""
    for nodes in _SIZES:
        inputs = _example(field, nodes, weight)
        want = field(**inputs)
        with _reasons(field, f"the written file does not run on {nodes} nodes"):
            got = run(inputs).reshape(want.shape)
        error, most = float((got - want).abs().max()), float(want.abs().max())
        if not error <= _TOLERANCE[field.dtype] * most:
            raise ValueError(
                f"{field.name}: cannot be exported: on {nodes} nodes the written file differs by "
                f"{error:.1e} where values reach {most:.1e} (expected at most "
                f"{_TOLERANCE[field.dtype]:.0e} of that)"
            )


@contextmanager
def _reasons(field: _Field, what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the tracers and runtimes raise a dozen types of their own
        first: BaseException = error
        while first.__cause__ is not None:  # the exporter wraps it in pages about itself
            first = first.__cause__
        reason = textwrap.shorten(str(first), 200)
        raise ValueError(f"{field.name}: cannot be exported: {what} ({reason})") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps back what torch's exporters tell about themselves: whole graphs, deprecations."""
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
