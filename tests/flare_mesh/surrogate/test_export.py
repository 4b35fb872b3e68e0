import json
import sys

import pytest
import torch
from torch import nn
from torch.fx import GraphModule

import flare_mesh
from flare_mesh import FLAREOperator, Surrogate
from flare_mesh.models import MODELS, FieldModel, build, model_options
from flare_mesh.surrogate import Rollout, read_metadata
from flare_mesh.surrogate.export import export_onnx, export_program
from flare_mesh.surrogate.export_metadata import describe_field
from flare_mesh.surrogate.exported_field import ExportedField
from flare_mesh.testing import random_graph

TINY = {"hidden_channels": 8, "num_layers": 1, "heads": 2, "num_latents": 4, "kv_layers": 0,
        "ffn_layers": 0, "head_layers": 0}  # fmt: skip
SIZES = (1, 3, 500)  # the last is larger than any that an export is traced with


class Pointwise(FieldModel):
    """The smallest model, which is traced in no time."""

    NAME = "pointwise"

    def __init__(self, in_channels=0, out_channels=1, *, pos_dim=3):
        super().__init__(locals())
        self.linear = nn.Linear(pos_dim + in_channels, out_channels)

    def evaluate(self, nodes):
        return self.linear(nodes.features())


def onnx_session(path):
    runtime = pytest.importorskip("onnxruntime")
    return runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def run(path):
    """The file at ``path`` as a function of named tensors."""
    if path.suffix == ".pt2":
        program = torch.export.load(path).module()
        return lambda **inputs: program(**inputs)
    session = onnx_session(path)

    def call(**inputs):
        arrays = {key: tensor.numpy() for key, tensor in inputs.items()}
        return torch.from_numpy(session.run(["field"], arrays)[0])

    return call


def random_inputs(n, model, *, weight=False, dtype=torch.float32):
    graph = random_graph(
        n, model.config["in_channels"], pos_dim=model.config["pos_dim"], seed=n, dtype=dtype
    )
    inputs = {"pos": graph.pos}
    if graph.x is not None:
        inputs["x"] = graph.x
    if weight:
        inputs["weight"] = torch.linspace(0.1, 2.0, n, dtype=dtype)
    if model.uses_edges:
        generator = torch.Generator().manual_seed(n)
        inputs["edge_index"] = torch.randint(n, (2, 4 * n), generator=generator)
    return inputs


@torch.no_grad()
def assert_same(path, model, *, weight=False, dtype=torch.float32):
    """The file and the model give the same fields, with any backend of the model."""
    program = run(path)
    for n in SIZES:
        inputs = random_inputs(n, model, weight=weight, dtype=dtype)
        want = model(inputs.get("x"), **{k: t for k, t in inputs.items() if k != "x"})
        got = program(**inputs)
        assert got.shape == want.shape
        assert (got - want).norm() <= 1e-4 * want.norm()


def with_large_weights(model, std=0.3):
    """Make the weights large enough to reveal a wrong result."""
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=std)
    return model


@pytest.mark.slow
def test_a_program_of_torch_alone(tmp_path):
    model = with_large_weights(FLAREOperator(2, 3, **TINY))
    before = model.blocks[0].attention.backend
    export_program(model, tmp_path / "field.pt2", weight=True)
    assert model.training
    assert model.blocks[0].attention.backend == before
    assert [file.name for file in tmp_path.iterdir()] == ["field.pt2"]
    for backend in ("sdpa", "numba"):
        model.blocks[0].attention.backend = backend
        assert_same(tmp_path / "field.pt2", model, weight=True)
    graphs = torch.export.load(tmp_path / "field.pt2").graph_module.modules()
    called = [n.target for g in graphs if isinstance(g, GraphModule) for n in g.graph.nodes]
    spaces = {f.namespace for f in called if isinstance(f, torch._ops.OpOverload)}
    assert spaces == {"aten"}


def test_onnx(tmp_path):
    pytest.importorskip("onnxscript")
    model = with_large_weights(FLAREOperator(0, 3, **TINY, queries="synthesized"))
    export_onnx(model, tmp_path / "field.onnx")
    session = onnx_session(tmp_path / "field.onnx")
    assert [i.name for i in session.get_inputs()] == ["pos"]
    assert [o.name for o in session.get_outputs()] == ["field"]
    assert [file.name for file in tmp_path.iterdir()] == ["field.onnx"]
    stored = session.get_modelmeta().custom_metadata_map["flare_mesh"]
    assert json.loads(stored) == read_metadata(tmp_path / "field.onnx")
    for backend in ("sdpa", "numba"):
        model.blocks[0].attention.backend = backend
        assert_same(tmp_path / "field.onnx", model)


def physical_surrogate():
    """A surrogate that was trained with node weights, and a case."""
    torch.manual_seed(0)
    model = with_large_weights(FLAREOperator(2, 3, **TINY))
    recipe = {"weights": True, "dataset": "MeshFolder"}
    surrogate = Surrogate(
        model,
        {"stress": 1, "shift": 2},
        inputs={"load": 1, "angle": 1},
        units={"stress": "MPa", "load": "N"},
        info={"recipe": recipe},
    )
    cases = [random_graph(50, 2, seed=seed) for seed in range(2)]
    for case in cases:
        case.pos = case.pos * 20 + 100
        case.x = case.x * 3 - 7
        case.weight = torch.linspace(0.01, 5.0, 50)
        case.y = case.x.new_ones(50, 3) * 5 + case.pos * torch.tensor([1.0, 0.1, 10.0])
    surrogate.fit_normalizers(cases)
    return surrogate, cases[0]


def predicted(surrogate, case):
    return torch.cat([*surrogate.predict(case).values()], 1)


def assert_near(got, want):
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4 * float(want.abs().max()))


@torch.no_grad()
def test_the_file_of_a_surrogate_gives_what_predict_gives(tmp_path):
    surrogate, case = physical_surrogate()
    path = tmp_path / "field.pt2"
    export_program(surrogate, path)
    want = predicted(surrogate, case)
    assert_near(run(path)(x=case.x, pos=case.pos, weight=case.weight), want)
    assert float(want[:, 2].mean()) > 100  # decoded

    found = read_metadata(path)
    extra = {"flare_mesh.json": ""}
    torch.export.load(path, extra_files=extra)
    assert json.loads(extra["flare_mesh.json"]) == found
    assert [(one["name"], one["shape"], one["dtype"]) for one in found["inputs"]] == [
        ("x", ["nodes", 2], "float32"),
        ("pos", ["nodes", 3], "float32"),
        ("weight", ["nodes"], "float32"),
    ]
    assert found["inputs"][0]["fields"] == [
        {"name": "load", "first": 0, "channels": 1, "unit": "N"},
        {"name": "angle", "first": 1, "channels": 1, "unit": None},
    ]
    assert found["output"]["fields"] == [
        {"name": "stress", "first": 0, "channels": 1, "unit": "MPa"},
        {"name": "shift", "first": 1, "channels": 2, "unit": None},
    ]
    assert found["version"] == flare_mesh.__version__
    assert (found["normalization"], found["trained_with_weights"]) == ("inside", True)
    assert found["training_range"]["num_nodes"] == [50, 50]
    assert found["time"] is None


@torch.no_grad()
def test_channels_of_features_and_the_scale_are_described():
    surrogate = Surrogate(
        FLAREOperator(6, 1, **TINY, pos_dim=2),
        {"u": 1},
        inputs={"angle": 1, "load": 1},
        features=[{"geometry_features": {"kind": "points", "context": False}}],
        scale_by={"u": "load"},
    )
    (x, pos) = describe_field(ExportedField(surrogate, None))["inputs"]
    assert [one["first"] for one in x["fields"]] == [0, 1, 2, 3, 4, 5]
    assert [one["name"] for one in x["fields"][:2]] == ["angle", "load"]
    assert [one.get("log", False) for one in x["fields"]] == [False] * 4 + [True] * 2
    assert x["constant_channels"] == [1]
    assert pos["meaning"].endswith("after 'features'")
    # Without the names of the inputs, the place of the features is not known.
    surrogate.inputs = {}
    (x, _) = describe_field(ExportedField(surrogate, None))["inputs"]
    assert x["fields"] == [{"name": "features", "first": 0, "channels": 6, "unit": None}]


@pytest.mark.slow
def test_weights_that_are_left_out_are_said_to_change_the_fields(tmp_path):
    surrogate, case = physical_surrogate()
    with pytest.warns(UserWarning, match=r"without node weights, but .* differ by up to [\d.]+ %"):
        export_program(surrogate, tmp_path / "field.pt2", weight=False)
    del case.weight
    assert_near(run(tmp_path / "field.pt2")(x=case.x, pos=case.pos), predicted(surrogate, case))


def test_a_time_series_is_exported_as_one_step():
    rollout = Rollout({"u_in": 6, "load": 1}, {"u_out": 8}, num_in=3, num_out=4)
    surrogate = Surrogate(
        FLAREOperator(7, 2, **TINY),
        {"u_out": 8},
        inputs={"u_in": 6, "load": 1},
        rollout=rollout,
        features=["quadrature_weights"],
    )
    found = describe_field(ExportedField(surrogate, None))
    assert (found["time"]["steps_in"], found["time"]["steps_out"]) == (3, 1)
    assert found["output"]["fields"] == [
        {"name": "u_out", "first": 0, "channels": 2, "unit": None},
    ]
    assert found["features"] == ["quadrature_weights"]


def test_a_state_is_refused(tmp_path):
    model = FLAREOperator(1, 1, **TINY, history="equal")
    with pytest.raises(ValueError, match=r"depend on .* by a state \(history='equal'\); train a"):
        export_program(model, tmp_path / "field.pt2")


def test_neighbour_searches_are_refused(tmp_path, capfd):
    model = FLAREOperator(0, 1, **TINY, encoder="graph", encoder_options={"radius": 0.5})
    with pytest.raises(ValueError, match="FLAREOperator: cannot be exported: its program depends"):
        export_program(model, tmp_path / "field.pt2")
    assert not list(tmp_path.iterdir())
    assert len(capfd.readouterr().err) < 500  # otherwise torch prints the whole graph


def test_a_program_with_wrong_results_is_not_written(tmp_path):
    class Counts(Pointwise):
        """Adds the number of nodes, which is a constant in its trace."""

        def evaluate(self, nodes):
            number = 24 if torch.compiler.is_compiling() else len(nodes.pos)
            return super().evaluate(nodes) + number

    (tmp_path / "field.pt2").write_bytes(b"older")
    with pytest.raises(ValueError, match="on 1 nodes the written file differs from the prediction"):
        export_program(Counts(), tmp_path / "field.pt2")
    assert (tmp_path / "field.pt2").read_bytes() == b"older"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_is_compared_with_the_backend_that_predicts(tmp_path):
    class Differs(Pointwise):
        """Adds 1 with the backend that only exported files have."""

        backend = "auto"

        def evaluate(self, nodes):
            return super().evaluate(nodes) + (self.backend == "sdpa")

    with pytest.raises(ValueError, match="differs from the prediction by 1.0e"):
        export_program(Differs(), tmp_path / "field.pt2")


def test_a_field_of_zeros_is_exported(tmp_path):
    model = Pointwise()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    export_program(model, tmp_path / "field.pt2")


def test_calls_of_foreign_operators_are_refused(tmp_path):
    class Foreign(Pointwise):
        def evaluate(self, nodes):
            return _foreign(super().evaluate(nodes))

    with pytest.raises(ValueError, match="it calls flare_mesh_test.twice.default"):
        export_program(Foreign(), tmp_path / "field.pt2")


@torch.library.custom_op("flare_mesh_test::twice", mutates_args=())
def _foreign(pos: torch.Tensor) -> torch.Tensor:
    return 2 * pos


@_foreign.register_fake
def _(pos):
    return torch.empty_like(pos)


@pytest.mark.slow
@pytest.mark.parametrize(("export", "suffix"), [(export_program, ".pt2"), (export_onnx, ".onnx")])
def test_a_full_disk_is_named(tmp_path, full_disk, export, suffix):
    if export is export_onnx:
        pytest.importorskip("onnxscript")
    path = tmp_path / f"field{suffix}"
    with full_disk(500), pytest.raises(OSError, match=r"field\.\w+: cannot be written \(File too"):
        export(Pointwise(), path)
    assert list(tmp_path.iterdir()) == []


def test_bad_input(tmp_path, monkeypatch):
    model = FLAREOperator(0, 1, **TINY)
    with pytest.raises(ValueError, match=r"expected a file name that ends in \.pt2"):
        export_program(model, tmp_path / "field.onnx")
    with pytest.raises(ValueError, match="expected a model in float32 or float64"):
        export_program(model.bfloat16(), tmp_path / "field.pt2")
    model.float()
    pytest.importorskip("onnxruntime")
    with pytest.raises(ValueError, match=r"'opset' >= 18 \(got 11\)"):
        export_onnx(model, tmp_path / "field.onnx", opset=11)
    with pytest.raises(ValueError, match=r"expected a file name that ends in \.onnx"):
        export_onnx(model, tmp_path / "field.pt2")
    monkeypatch.setattr("flare_mesh.surrogate.export._MAX_BYTES", 10)
    with pytest.raises(
        ValueError, match="expected weights of less than 2 GiB for an ONNX file .*; export to .pt2"
    ):
        export_onnx(model, tmp_path / "field.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r'pip install "flare-mesh\[export\]"'):
        export_onnx(model, tmp_path / "field.onnx")


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"queries": "synthesized", "norm": "rms", "num_layers": 2},
        {"decode": "encoded", "qk_norm": True, "act": "silu", "encoder": "fourier",
         "checkpointing": True, "pos_dim": 2},
        {"encoder": "graph"},
        {"latent_blocks": 1, "gate_layers": 0, "shared_latents": True, "shared_attention": True,
         "shared_ffn": True, "num_layers": 2, "passes": 2},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
def test_variants(tmp_path, options, suffix):
    torch.manual_seed(0)
    model = with_large_weights(FLAREOperator(2, 3, **(TINY | options)), 0.2)
    write(model, tmp_path / f"field{suffix}", weight=True)
    assert_same(tmp_path / f"field{suffix}", model, weight=True)


def write(model, path, **options):
    if path.suffix == ".onnx":
        pytest.importorskip("onnxscript")
        export_onnx(model, path, **options)
    else:
        export_program(model, path, **options)


@pytest.mark.slow
@pytest.mark.parametrize("opset", [18, 23])
def test_opsets(tmp_path, opset):
    onnx = pytest.importorskip("onnx")
    model = with_large_weights(FLAREOperator(2, 3, **TINY))
    export_onnx(model, tmp_path / "field.onnx", opset=opset)
    imported = onnx.load(tmp_path / "field.onnx").opset_import
    assert [entry.version for entry in imported if entry.domain == ""] == [opset]
    assert_same(tmp_path / "field.onnx", model)


@pytest.mark.slow
def test_double_precision(tmp_path):
    pytest.importorskip("onnxscript")
    model = with_large_weights(FLAREOperator(2, 3, **TINY)).double()
    export_onnx(model, tmp_path / "field.onnx", weight=True)
    assert_same(tmp_path / "field.onnx", model, weight=True, dtype=torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
@pytest.mark.parametrize("name", [name for name in MODELS if name != "flare"])  # in test_variants
def test_every_model(tmp_path, name, suffix):
    torch.manual_seed(0)
    small = {"hidden_channels": 8, "num_layers": 1, "heads": 1, "num_latents": 4, "num_slices": 4}
    options = {key: value for key, value in small.items() if key in model_options(name)}
    model = build(name, in_channels=2, out_channels=3, **options)
    path = tmp_path / f"field{suffix}"
    write(model, path)
    assert_same(path, model.eval())
