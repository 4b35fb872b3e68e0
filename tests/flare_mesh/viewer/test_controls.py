from dataclasses import replace

import numpy as np
import pytest
import pyvista

from flare_mesh.viewer.cases import CaseStore, ViewCase
from flare_mesh.viewer.controls import CONTROLS, show
from flare_mesh.viewer.drawing import draw
from flare_mesh.viewer.fields import list_fields
from flare_mesh.viewer.selection import Clip, make_selection
from flare_mesh.visualize.cut import SHOWN


@pytest.fixture
def store(prediction):
    return CaseStore([ViewCase("a", lambda: prediction), ViewCase("b", lambda: prediction.mesh)])


@pytest.fixture
def first(store):
    return show(store, CONTROLS | {"case_name": "a"}, None)


def test_the_first_view(first):
    assert first.controls["warp"] == "displacement"
    # A share of 0.05 of the diagonal over the largest displacement, in one digit.
    largest = np.linalg.norm([0.2, 0.03, 0.44])
    assert first.controls["factor"] == float(f"{0.05 * 12**0.5 / largest:.1g}")
    assert first.controls["clip_position"] == 1.0
    assert first.choices["kinds"] == ["truth", "prediction", "error"]
    assert first.choices["label"] == "norm of displacement [mm]"
    assert first.choices["steps"] == [""]
    assert first.choices["summary"] == "27 nodes, 8 cells"
    assert f"deformation x {first.controls['factor']:g}" in first.choices["caption"]


def test_truth_and_prediction_share_a_range(store, first):
    wanted = first.controls | {"field": "stress"}
    truth, prediction, error, band = (
        show(store, wanted | {"kind": kind}, first)
        for kind in ("truth", "prediction", "error", "band")
    )
    assert truth.choices["ticks"] == prediction.choices["ticks"]
    assert [float(tick) for tick in truth.choices["ticks"]] == [25, 18.8, 12.5, 6.25, 0]
    assert error.choices["ticks"] == []
    assert "error of stress [MPa]: 5 everywhere" in error.choices["caption"]
    assert "2 everywhere" in band.choices["caption"]


def test_each_shape_has_its_own_deformation(store, first):
    wanted = first.controls | {"field": "stress", "factor": 10.0}
    for kind, height in {"truth": 6.0, "error": 6.0, "prediction": 6.4, "band": 6.4}.items():
        body = show(store, wanted | {"kind": kind}, first).drawing.shape.body
        assert body.points[:, 2].max() == pytest.approx(height, abs=1e-5)
    flat = show(store, wanted | {"warp": ""}, first)
    assert flat.drawing.shape.body.points[:, 2].max() == 2.0
    assert "deformation" not in flat.choices["caption"]


def test_clip_plane(store, first):
    wanted = first.controls | {"clip_on": True, "clip_position": 0.5, "warp": ""}
    below = show(store, wanted, first)
    assert below.drawing.shape.body.bounds[:2] == (0.0, 0.5)
    above = show(store, wanted | {"clip_side": "above"}, below)
    assert above.drawing.shape.body.bounds[:2] == (0.5, 2.0)
    assert above.choices["ticks"] == below.choices["ticks"], "the range is that of the whole mesh"
    other = show(store, wanted | {"clip_axis": "z"}, below)
    assert other.controls["clip_position"] == 1.0
    with pytest.raises(ValueError, match="leaves nothing of the mesh"):
        show(store, wanted | {"clip_position": -3.0}, below)


def test_oblique_clip_plane(store, first):
    """Of the cube from 0 to 2 the corner with x + 2 y < 2 is left."""
    oblique = {"clip_axis": "oblique", "clip_nx": 1, "clip_ny": "2", "clip_nz": 0}
    wanted = first.controls | {"clip_on": True, "warp": ""} | oblique
    middle = show(store, wanted, first)
    assert middle.controls["clip_position"] == 3.0
    assert middle.choices["clip_expression"] == "x+2y"
    assert middle.choices["clip_low"] == pytest.approx(0.005 * 6)
    corner = show(store, middle.controls | {"clip_position": 2.0}, middle).drawing.shape.body
    assert np.allclose(corner.bounds, (0, 2, 0, 1, 0, 2))
    for zero in ({"clip_nx": 0, "clip_ny": 0}, {"clip_nx": ""}):
        wrong = middle.controls | zero
        with pytest.raises(ValueError, match="is zero; give another|clip_nx: expected a number"):
            show(store, wrong, middle)
        off = show(store, wrong | {"clip_on": False}, middle)
        assert (off.controls["clip_nx"], off.controls["clip_ny"]) == (1, "2")


def test_a_plane_mesh_has_no_plane_along_it():
    store = CaseStore([ViewCase("a", lambda: pyvista.Plane())])
    first = show(store, CONTROLS | {"case_name": "a"}, None)
    assert first.choices["clip_axes"] == ["x", "y", "oblique"]
    wanted = {"clip_on": True, "clip_axis": "oblique", "clip_nx": 0, "clip_ny": 0, "clip_nz": 1}
    with pytest.raises(ValueError, match="no extent along the normal"):
        show(store, first.controls | wanted, first)


def test_another_case_keeps_what_it_has(store, first):
    there = show(store, first.controls | {"case_name": "b", "kind": "error"}, first)
    assert there.controls["field"] == ""
    assert there.controls["warp"] == ""
    assert (there.choices["fields"], there.choices["ticks"]) == ([], [])
    back = show(store, there.controls | {"case_name": "a", "field": "stress"}, there)
    assert (back.controls["field"], back.controls["kind"]) == ("stress", "truth")
    assert back.controls["factor"] == first.controls["factor"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"case_name": "c"}, "there is no case 'c'"),
        ({"factor": "nan"}, "factor: expected a number"),
        ({"factor": {"a": 1}}, "factor: expected a number"),
        ({"clip_on": True, "clip_side": "left"}, "clip_side: expected one of"),
        ({"clip_on": True, "clip_position": None}, "clip_position: expected a number"),
    ],
)
def test_impossible_values(store, first, wanted, message):
    with pytest.raises(ValueError, match=message):
        show(store, first.controls | wanted, first)


def test_a_case_that_was_simulated(prediction):
    unknown = replace(prediction, truth={})
    store = CaseStore([ViewCase("a", lambda: unknown)])
    before = show(store, CONTROLS | {"case_name": "a"}, None)
    assert before.choices["kinds"] == ["prediction"]
    large = {"displacement": 10 * prediction.predicted["displacement"]}
    store.add(ViewCase("a", lambda: replace(prediction, truth=large)))
    after = show(store, before.controls, before)
    assert after.choices["kinds"] == ["truth", "prediction", "error"]
    assert after.controls["kind"] == "prediction"
    # So that the larger one of truth and prediction can be seen.
    assert after.controls["factor"] == pytest.approx(before.controls["factor"] / 10, rel=0.2)
    assert show(store, after.controls | {"factor": 3.0}, after).selection.factor == 3.0


def test_a_selection_from_anything(store, first):
    fields = [*first.mesh.fields.values()]
    odd = {"field": ["x"], "kind": 3, "component": None, "warp": "stress", "factor": 2}
    found = make_selection(odd, fields)
    assert (found.field, found.kind, found.component) == ("displacement", "truth", "norm")
    assert (found.warp, found.factor) == ("", 0.0)
    assert Clip((1, 0, 0), 0.1, "below").text == "x<0.1"
    assert Clip((-1, 0, 0.3), -2.0, "above").text == "-x+0.3z>-2.0"


def test_missing_values_and_large_meshes(monkeypatch):
    monkeypatch.setattr("flare_mesh.viewer.drawing.MAX_FACES", 1000)
    grid = pyvista.ImageData(dimensions=(16, 16, 16)).cast_to_unstructured_grid()
    grid.point_data["stress"] = np.arange(4096.0)
    grid.point_data["stress"][0] = np.nan
    fields = {field.name: field for field in list_fields(grid)}
    found = draw(grid, fields, make_selection({"field": "stress", "factor": 0}, [*fields.values()]))
    assert "no value at 1 of 4,096 nodes (pink)" in found.caption
    assert "1,350 faces, reduced to" in found.caption
    assert 100 < found.shape.body.n_cells <= 1000
    assert SHOWN in found.shape.body.point_data
