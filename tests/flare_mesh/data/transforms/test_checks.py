import copy
import operator

import pytest
import torch
from torch_geometric.data import Batch, Data

from flare_mesh import MeshData
from flare_mesh.data import transforms

CASES = {
    "AddNoise": lambda: transforms.AddNoise({"u": 0.1}),
    "FromReferenceFrame": lambda: transforms.FromReferenceFrame(vectors={"u": (0,)}),
    "GeometryFeatures": lambda: transforms.GeometryFeatures("points"),
    "KNNEdges": lambda: transforms.KNNEdges(3),
    "MeshEdges": lambda: transforms.MeshEdges(),
    "QuadratureWeights": lambda: transforms.QuadratureWeights(),
    "RadiusEdges": lambda: transforms.RadiusEdges(0.8),
    "RandomNodes": lambda: transforms.RandomNodes(5),
    "RandomSquareSymmetry": lambda: transforms.RandomSquareSymmetry({"pos": (0,), "u": (0,)}, {}),
    "RandomReflection": lambda: transforms.RandomReflection(
        vectors={"u": (0,)}, tensors={"s": (0,)}
    ),
    "RandomRotation": lambda: transforms.RandomRotation(vectors={"u": (0,)}, tensors={"s": (0,)}),
    "ShrinkageFeatures": lambda: transforms.ShrinkageFeatures(),
    "SignedDistance": lambda: transforms.SignedDistance(),
    "SupportFeatures": lambda: transforms.SupportFeatures(),
    "SurfaceNormals": lambda: transforms.SurfaceNormals(),
    "ToReferenceFrame": lambda: transforms.ToReferenceFrame(
        "bottom", principal_axes=True, unit_length=True, vectors={"u": (0,)}, lengths=["u"]
    ),
}
SINGLE = (
    "GeometryFeatures",
    "KNNEdges",
    "MeshEdges",
    "RadiusEdges",
    "RandomNodes",
    "ShrinkageFeatures",
    "SignedDistance",
    "SupportFeatures",
    "SurfaceNormals",
    "ToReferenceFrame",
)
NEEDS_CELLS = (
    "MeshEdges",
    "QuadratureWeights",
    "ShrinkageFeatures",
    "SignedDistance",
    "SupportFeatures",
    "SurfaceNormals",
)


@pytest.fixture
def mesh(tee, data_of):
    torch.manual_seed(0)
    data = data_of(tee)
    data.u, data.s = torch.randn(len(data.pos), 3), torch.randn(len(data.pos), 6)
    data.weight = torch.rand(len(data.pos))
    return data


def test_every_transform_is_tested_here():
    assert set(CASES) | {"BuildFeatures"} == set(transforms.__all__)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", [MeshData, Data])
def test_the_input_is_not_modified(name, kind, mesh):
    if name == "FromReferenceFrame":
        mesh = CASES["ToReferenceFrame"]()(mesh)
    elif kind is Data and name in NEEDS_CELLS:
        return
    data = mesh if kind is MeshData else Data(**{k: mesh[k] for k in mesh.keys()})  # noqa: SIM118
    before = copy.deepcopy(data.to_dict())
    versions = {key: getattr(value, "_version", None) for key, value in data.to_dict().items()}
    out = CASES[name]()(data)
    assert out is not data
    after = data.to_dict()
    assert after.keys() == before.keys()
    for key, value in after.items():
        same = torch.equal if isinstance(value, torch.Tensor) else operator.eq
        assert same(value, before[key])
        assert getattr(value, "_version", None) == versions[key]


@pytest.mark.parametrize("name", SINGLE)
def test_batches_are_refused(name, mesh):
    with pytest.raises(ValueError, match=f"{name}: expected a single mesh; apply it before"):
        CASES[name]()(Batch.from_data_list([mesh, mesh]))


@pytest.mark.parametrize("name", ["AddNoise", "RandomNodes", "RandomReflection", "RandomRotation"])
def test_draws_depend_on_the_seed_of_torch_or_the_generator(name, mesh):
    def draws(transform):
        return [transform(mesh).pos for _ in range(20)]

    def make(**options):
        transform = CASES[name]()
        if name == "AddNoise":
            transform = transforms.AddNoise({"pos": 0.1})
        transform.generator = options.get("generator")
        return transform

    def same(a, b):
        return all(torch.equal(one, other) for one, other in zip(a, b, strict=True))

    torch.manual_seed(1)
    first = draws(make())
    assert not all(torch.equal(first[0], pos) for pos in first[1:])
    torch.manual_seed(1)
    assert same(draws(make()), first)
    state = torch.get_rng_state()
    seeded = [draws(make(generator=torch.Generator().manual_seed(2))) for _ in range(2)]
    assert same(*seeded)
    assert torch.equal(torch.get_rng_state(), state)


def test_named_for_the_pipelines_of_pyg():
    from torch.utils.data import IterDataPipe

    for name in transforms.__all__:
        # knn_edges, random_nodes, ...
        words = "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
        assert words.replace("k_n_n", "knn") in IterDataPipe.functions


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (None, r"'u' as floating-point values, one row for each of 4 nodes \(got none\)"),
        (torch.zeros(3, 3), r"got \[3, 3\] torch.float32"),
        (torch.zeros(4, 3, dtype=torch.long), r"got \[4, 3\] torch.int64"),
        ("text", "got str"),
    ],
)
def test_fields_that_are_not_there(field, message):
    data = Data(pos=torch.zeros(4, 3), u=field)
    with pytest.raises(ValueError, match=f"RandomRotation: expected .*{message}"):
        transforms.RandomRotation(vectors={"u": (0,)})(data)
    with pytest.raises(ValueError, match=f"AddNoise: expected .*{message}"):
        transforms.AddNoise({"u": 1.0})(data)


def test_bad_positions_and_columns():
    rotation = transforms.RandomRotation()
    with pytest.raises(ValueError, match=r"'pos' of shape \[N, 2\] or \[N, 3\] \(got none\)"):
        rotation(Data(x=torch.zeros(3, 1)))
    with pytest.raises(ValueError, match=r"\(got \[3, 4\]\)"):
        rotation(Data(pos=torch.zeros(3, 4)))
    with pytest.raises(ValueError, match="first columns by field"):
        transforms.RandomRotation(vectors=["u"])
    with pytest.raises(ValueError, match="columns >= 0"):
        transforms.RandomRotation(vectors={"u": (-1,)})
    data = Data(pos=torch.zeros(3, 3), s=torch.zeros(3, 6))
    with pytest.raises(ValueError, match=r"columns 1 to 6 \(got shape \[3, 6\]\)"):
        transforms.RandomRotation(tensors={"s": (1,)})(data)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.tensor([1.0, -1.0]), "non-negative"),
        (torch.tensor([0.0, 0.0]), "not all zero"),
        (torch.tensor([1.0, torch.nan]), "finite"),
        (torch.ones(2, 1), r"shape \[N\] \(got \[2, 1\]\)"),
    ],
)
def test_bad_weights(weight, message):
    with pytest.raises(ValueError, match=f"RandomNodes: expected 'weight' .*{message}"):
        transforms.RandomNodes(1)(Data(pos=torch.zeros(2, 3), weight=weight))
