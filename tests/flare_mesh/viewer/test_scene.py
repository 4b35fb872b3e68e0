import numpy as np
import pytest

from flare_mesh.viewer.cases import CaseStore, ViewCase
from flare_mesh.viewer.controls import CONTROLS, show
from flare_mesh.viewer.scene import Scene, bar_gradient
from flare_mesh.visualize.colours import MISSING, Colours


def actors(scene):
    renderer, corner = scene.window.GetRenderers()
    assert not corner.GetInteractive()
    return renderer, [*renderer.GetActors()]


def test_what_the_browser_gets(prediction):
    prediction.truth["stress"][0] = float("nan")
    store = CaseStore([ViewCase("a", lambda: prediction)])
    shown = show(store, CONTROLS | {"case_name": "a", "field": "stress"}, None)
    scene = Scene()
    scene.show(shown.drawing, edges=False)
    scene.aim(shown.drawing)
    renderer, (body, outline) = actors(scene)
    data, mapper = body.GetMapper().GetInput(), body.GetMapper()
    assert data.GetNumberOfCells() == 24
    assert data.GetPointData().GetNumberOfArrays() == 1
    assert data.GetPoints().GetData().GetDataTypeAsString() == "float"
    assert mapper.GetScalarRange() == (0.0, 25.0)
    table = mapper.GetLookupTable()
    assert table.GetRange() == (0.0, 25.0)
    colour = [int(MISSING[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    assert table.GetNanColor()[:3] == pytest.approx(colour)
    assert outline.GetVisibility()
    focus = np.array(renderer.GetActiveCamera().GetFocalPoint())
    centre = np.asarray(shown.drawing.shape.body.bounds).reshape(3, 2).mean(axis=1)
    np.testing.assert_allclose(focus, centre, atol=1e-6)
    body_view, corner_view = (
        np.array(one.GetActiveCamera().GetDirectionOfProjection())
        for one in scene.window.GetRenderers()
    )
    np.testing.assert_allclose(corner_view, body_view, atol=1e-6)
    scene.show(shown.drawing, edges=True)
    assert body.GetProperty().GetEdgeVisibility()
    assert not outline.GetVisibility()


def test_the_bar_has_the_colours_of_the_map():
    gradient = bar_gradient(Colours("viridis", 0.0, 1.0))
    assert gradient.startswith("linear-gradient(to top, rgb(68, 1, 84), ")
    assert gradient.endswith("rgb(253, 231, 37))")
