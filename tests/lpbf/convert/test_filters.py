import numpy as np
import pytest

from lpbf import HexMesh
from lpbf.convert import Filters
from lpbf.convert.converted_case import ConvertedCase

MESH = HexMesh.from_mask(np.ones((2, 2, 2)), (1.0, 2.0, 3.0))


def case(points=MESH.points, shift=0.5, von_mises=100.0):
    n = len(points)
    displacement = np.tile([3.0, 0.0, -shift], (n, 1))
    return ConvertedCase(
        points, MESH.cells, displacement, np.full(n, von_mises), np.full(n, 25.0), {}
    )


def test_published_limits():
    assert Filters().reason(case()) is None
    assert case().max_aspect_ratio == pytest.approx(3.0)
    assert case().statistics()["max_displacement_mm"] == pytest.approx(9.25**0.5)
    for wrong, reason in (
        (case(MESH.points * [1, 1, 1.1]), "3.3 as the largest aspect ratio, over the limit of 3"),
        (case(MESH.points * [1, 1, 0]), "inf as the largest aspect ratio"),
        (case(shift=1.1), "1.1 mm as the largest z displacement, over the limit of 1"),
        (case(shift=-1.1), "1.1 mm as the largest z displacement, over the limit of 1"),
        (case(von_mises=2001.0), "2001 MPa as the largest von Mises stress"),
        (case(von_mises=np.nan), "27 values are NaN or infinite"),
    ):
        found = Filters().reason(wrong)
        assert found is not None
        assert reason in found


def test_sizes():
    assert Filters(max_nodes=26).reason(case()) == "27 nodes, over the limit of 26"
    assert Filters(max_edges=107).reason(case()) == "108 edges, over the limit of 107"
    assert Filters(max_nodes=27, max_edges=108).reason(case()) is None
    with pytest.raises(ValueError, match="expected max_aspect_ratio > 0"):
        Filters(max_aspect_ratio=-1)
