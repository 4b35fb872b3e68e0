import base64

import numpy as np
import torch

from flare_mesh import MeshData
from flare_mesh.report.case_view import CaseView, FieldView
from flare_mesh.report.scene import scene_of

SQUARE = MeshData(
    torch.tensor([[0.0, 0], [3, 0], [3, 4], [0, 4]]), quad=torch.tensor([[0, 1, 2, 3]])
)


def numbers(text, dtype):
    return np.frombuffer(base64.b64decode(text), dtype)


def column(*values):
    return np.array(values, dtype=np.float64)[:, None]


def test_points_triangles_and_values_of_a_plane_mesh():
    field = FieldView("T", column(0, 1, 2, 4), column(0, 1, 2, np.nan), unit="C")
    scene = scene_of([CaseView("a", SQUARE, [field])])
    (shape,) = scene["cases"]
    points = numbers(shape["points"], "<f4").reshape(-1, 3)
    # The half diagonal of 2.5 is 0.85 of half of the view.
    np.testing.assert_allclose(points[0], [-1.5 * 0.34, -2 * 0.34, 0], rtol=1e-6)
    triangles = numbers(shape["triangles"], "<u4").reshape(-1, 3)
    assert sorted({*triangles.ravel()}) == [0, 1, 2, 3]
    assert len(triangles) == 2
    assert shape["rotation"] == np.eye(3).ravel().tolist()
    assert (shape["lit"], shape["factor"], shape["warps"]) == (False, 0.0, {})
    truth, prediction, error = shape["fields"][0]["views"]
    # Truth and prediction share the range from 0 to 4; the number after the last is missing.
    assert (truth["low"], truth["high"]) == (prediction["low"], prediction["high"]) == ("0", "4")
    expected = [0, round(65534 / 4), round(65534 / 2)]
    assert numbers(truth["values"], "<u2").tolist() == [*expected, 65535]
    assert numbers(prediction["values"], "<u2").tolist() == [*expected, 65534]
    assert numbers(error["values"], "<u2")[3] == 65535
    assert {len(numbers(one, "u1")) for one in scene["maps"].values()} == {4 * 256}


def test_a_displacement_deforms_the_shape():
    truth = np.array([[0.0, 0], [0, 0], [0.1, 0], [0, 0]])
    view = CaseView("a", SQUARE, [FieldView("displacement", 2 * truth, truth)])
    (shape,) = scene_of([view])["cases"]
    assert shape["factor"] == 1.0  # a twentieth of the diagonal of 5 over 0.2, with one digit
    warp = numbers(shape["warps"]["truth"], "<f4").reshape(-1, 3)
    np.testing.assert_allclose(warp[2], [0.1 * 0.34, 0, 0], rtol=1e-6)
    assert [one["warp"] for one in shape["fields"][0]["views"]] == ["truth", "prediction", "truth"]
    assert shape["fields"][0]["name"] == "norm of displacement"


def test_clouds_cells_and_many_faces(monkeypatch):
    cloud = MeshData(SQUARE.pos)
    (shape,) = scene_of([CaseView("a", cloud, [FieldView("T", column(0, 1, 2, 3))])])["cases"]
    assert shape["triangles"] is None
    assert [one["name"] for one in shape["fields"][0]["views"]] == ["prediction"]
    on_cells = CaseView("a", SQUARE, [FieldView("T", column(5))], on_cells=True)
    (shape,) = scene_of([on_cells])["cases"]
    assert len(numbers(shape["fields"][0]["views"][0]["values"], "<u2")) == 4
    monkeypatch.setattr("flare_mesh.report.scene._MOST_OF_ONE", 2)
    (shape,) = scene_of([CaseView("a", cloud, [FieldView("T", column(0, 1, 2, 3))])])["cases"]
    assert shape["remark"] == "every 2th of 4 points"
    assert len(numbers(shape["points"], "<f4")) == 6
