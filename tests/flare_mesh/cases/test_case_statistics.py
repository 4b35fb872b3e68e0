import pytest
import torch

from flare_mesh import MeshData
from flare_mesh.cases.case_statistics import case_statistics


def test_statistics_of_a_plane():
    pos = torch.tensor([[0.0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0]])
    mesh = MeshData(pos, triangle=torch.tensor([[0, 1, 2], [0, 2, 3]]))
    mesh.speed = torch.tensor([[3.0, 4.0], [0, 1], [0, 1], [0, torch.nan]])
    mesh.cell_stress = torch.tensor([1.0, -5.0])
    mesh.load = torch.tensor([[2.5]])
    found = case_statistics("a", mesh)
    assert (found.num_nodes, found.cells, found.kind, found.measure) == (
        4,
        {"triangle": 2},
        "plane",
        pytest.approx(2.0),
    )
    assert found.extents.tolist() == [2, 1, 0]
    speed, stress, load = (found.fields[name] for name in ("speed", "stress", "load"))
    assert (speed.place, speed.channels, speed.finite) == ("node", 2, False)
    assert speed.rms == pytest.approx((27 / 6) ** 0.5)  # of the finite nodes
    assert (speed.median, speed.extremes["largest magnitude"]) == (1.0, 5.0)
    assert (stress.place, stress.extremes["weighted mean value"]) == ("cell", -2.0)
    assert stress.extremes["largest absolute value"] == 5.0
    assert (load.place, load.values) == ("case", (2.5,))


def test_kinds():
    flat = torch.tensor([[0.0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0]])
    tilted = flat + torch.tensor([0.0, 0, 1]) * flat[:, :1]
    quad = torch.tensor([[0, 1, 2, 3]])
    solid = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    kinds = [
        case_statistics("a", mesh).kind
        for mesh in (
            MeshData(flat),
            MeshData(flat, line=torch.tensor([[0, 1]])),
            MeshData(flat, quad=quad),
            MeshData(flat[:, :2], quad=quad),
            MeshData(tilted, quad=quad),
            # The faces of a solid do not count.
            MeshData(solid, triangle=torch.tensor([[0, 1, 2]]), tetra=torch.tensor([[0, 1, 2, 3]])),
        )
    ]
    assert kinds == ["points", "points", "plane", "plane", "surface", "volume"]
