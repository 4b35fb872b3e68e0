import numpy as np
import pytest

from lpbf import HexMesh, PartError
from lpbf.simulate.release_steps import release_steps


def legs():
    """Three legs of one, two and one voxel under a beam."""
    mask = np.ones((8, 1, 3), dtype=bool)
    mask[[1, 2, 5, 6], :, :2] = False
    return HexMesh.from_mask(mask, 1.0)


def held(step, mesh):
    return sorted(set(mesh.points[step.on_plate][:, 0]))


def test_true_is_a_cut_along_the_plate():
    mesh = legs()
    (step,) = release_steps(mesh, True)
    assert step.name == "release"
    assert step.left.all()
    assert not step.on_plate.any()
    assert release_steps(mesh, False) == []
    raised = HexMesh.from_mask(mesh.mask, 1.0, origin=(0.0, 0.0, 5.0))
    assert not release_steps(raised, True)[0].on_plate.any()


def test_a_node_is_held_as_long_as_a_voxel_at_it_is():
    mesh = legs()
    first, second = release_steps(
        mesh, [{"box": [[0, 0, 0], [4, 1, 0]]}, {"box": [[7, 0, -1], [9, 1, 0]]}]
    )
    assert (first.name, second.name) == ("cut 1", "cut 2")
    assert held(first, mesh) == [4, 5, 7, 8]  # half of the second leg
    assert held(second, mesh) == [4, 5]
    assert first.left.all()
    assert second.left.all()


def test_removed_voxels_hold_nothing():
    mesh = legs()
    kerf, plane = release_steps(mesh, [{"box": [[0, 0, 0], [1, 1, 1]]}, {"below": 1.0}])
    assert mesh.num_cells - kerf.left.sum() == 1
    assert held(kerf, mesh) == [3, 4, 5, 7, 8]
    assert held(plane, mesh) == []
    np.testing.assert_array_equal(plane.left, mesh.cell_index[:, 2] > 0)


@pytest.mark.parametrize(
    ("release", "message"),
    [
        (
            [{"box": [[1, 0, 0], [3, 1, 1]]}],
            r"cut 1 \(box: \[\[1.0, 0.0, 0.0\], \[3.* touches no voxel's centre and no bottom",
        ),
        ([{"below": -0.1}], r"the part spans \(0, 0, 0\) to \(8, 1, 3\) mm; move or remove"),
        ([{"below": 0}, {"box": [[0, 0, 0], [4, 1, 0]]}], "cut 2 .*nothing of it is on the plate"),
        ([{"below": 1}, {"below": 1}], r"spans \(0, 0, 1\) to \(8, 1, 3\) mm and nothing"),
        ([{"below": 0}, {"below": 9}], r"cut 2 \(below: 9.0\) leaves nothing of the part"),
    ],
)
def test_cuts_that_do_not_fit_the_part(release, message):
    with pytest.raises(PartError, match=message) as caught:
        release_steps(legs(), release)
    assert "\n" not in str(caught.value)
