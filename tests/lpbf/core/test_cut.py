import numpy as np
import pytest

from lpbf import BoxCut, HexMesh, PlaneCut, Process
from lpbf.core.cut import CUTS

SEQUENCE = [{"box": [[-1, 0, -1], [2.5, 3, 0]]}, {"below": 0.0}]


def test_a_box_that_ends_at_the_plate_cuts_without_loss():
    mesh = HexMesh.from_mask(np.ones((4, 2, 2)), 1.0)
    cut = BoxCut([[-1.0, -1.0, -1.0], [2.4, 9.0, 0.0]])
    assert not cut.removed(mesh).any()
    x, _, z = mesh.cell_index.T
    np.testing.assert_array_equal(cut.separated(mesh), (x < 2) & (z == 0))


def test_voxels_are_removed_if_their_centre_is_in_the_region():
    mesh = HexMesh.from_mask(np.ones((4, 2, 3)), (1.0, 1.0, 0.5), origin=(-2.0, 0.0, 0.0))
    x, y, z = mesh.cell_index.T
    box = BoxCut(((-1.5, 0.0, 0.7), (0.49, 1.0, 1.1)))
    np.testing.assert_array_equal(box.removed(mesh), (x < 2) & (y == 0) & (z == 1))
    plane = PlaneCut(0.75)
    np.testing.assert_array_equal(plane.removed(mesh), z < 2)


def test_rounding_does_not_decide():
    mesh = HexMesh.from_mask(np.ones((7, 1, 1)), 0.1, origin=(0.1, 0.0, 0.0))
    cut = BoxCut([[0.15, 0.0, 0.05], [0.35, 1.0, 0.05]])
    np.testing.assert_array_equal(np.flatnonzero(cut.removed(mesh)), [0, 1, 2])


def test_a_process_keeps_its_cuts_in_files(tmp_path):
    process = Process(release=SEQUENCE)
    cuts = (BoxCut(((-1.0, 0.0, -1.0), (2.5, 3.0, 0.0))), PlaneCut(0.0))
    assert process.release == cuts
    assert Process(release=cuts) == process
    assert hash(Process(release=cuts)) == hash(process)
    assert process.to_dict()["release"] == SEQUENCE
    assert Process.from_dict(process.to_dict()) == process
    process.to_yaml(tmp_path / "process.yaml")
    assert Process.from_yaml(tmp_path / "process.yaml") == process
    (tmp_path / "own.yaml").write_text(
        "release:\n- box: [[-1, 0, -1], [2.5, 3, 0]]\n- {below: 0.0}\n"
    )
    assert Process.from_yaml(tmp_path / "own.yaml") == process
    for key, kind in CUTS.items():
        assert list(kind.__dataclass_fields__) == [key]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("release", "message"),
    [
        ([], r"expected release as True, False or a list of cuts such as \{below: 0.0\}"),
        ("plane", "expected release as True, False or a list"),
        (1, "expected release as True, False or a list"),
        ([0.0], r"expected a cut with one of the keys below, box \(got 0.0\)"),
        ([{"below": 0, "box": []}], "expected a cut with one of the keys below, box"),
        ([{"bellow": 0}], "release: unknown cut 'bellow'; did you mean 'below'"),
        ([{"below": None}], r"release: expected a finite below mm \(got None\)"),
        ([{"box": [[0, 0, 0], [1, 1]]}], "expected a box as its lower and its upper corner"),
        ([{"box": [[0, 0, 0], [1, -1, 1]]}], "expected a box as its lower and its upper corner"),
        ([{"box": [[0, 0, float("nan")], [1, 1, 1]]}], "expected a box as its lower"),
        ([{"box": 3}], r"in mm \(got 3\)"),
    ],
)
def test_bad_input_is_one_line(release, message):
    with pytest.raises(ValueError, match=message) as caught:
        Process(release=release)
    assert "\n" not in str(caught.value)
