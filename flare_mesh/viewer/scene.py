"""The scene that the browser draws."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.viewer.drawing import Drawing
from flare_mesh.visualize.camera import view_vectors
from flare_mesh.visualize.colours import INK, MISSING, PLAIN, Colours
from flare_mesh.visualize.cut import SHOWN

AXES = {"x": "#d55e00", "y": "#009e73", "z": "#0072b2"}
"""Colours of the axes in the corner, which can be told apart without red and green."""

NUM_COLOURS = 256
_CORNER = (0.0, 0.0, 0.12, 0.16)
_POINT_SIZE, _LINE_WIDTH = 4.0, 3.0


class Scene:
    """A render window that is never rendered: the browser gets its actors, and draws them.

    Attributes:
        window: The ``vtkRenderWindow``.
    """

    def __init__(self) -> None:
        from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow

        self.window = vtkRenderWindow()
        self._renderer = vtkRenderer()
        self._renderer.SetBackground(1.0, 1.0, 1.0)
        self.window.AddRenderer(self._renderer)
        self._renderer.GetActiveCamera().SetParallelProjection(True)
        self._body = self._actor(lit=True)
        self._outline = self._actor(lit=False)
        self._outline.GetProperty().SetOpacity(0.45)
        self._outline.GetProperty().SetColor(*_rgb(INK))
        self._corner = _axes()
        self.window.AddRenderer(self._corner)

    def _actor(self, *, lit: bool) -> Any:
        from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

        actor = vtkActor()
        actor.SetMapper(vtkPolyDataMapper())
        look = actor.GetProperty()
        look.SetAmbient(0.55)
        look.SetDiffuse(0.5)
        look.SetLighting(lit)
        self._renderer.AddActor(actor)
        return actor

    def show(self, drawing: Drawing, *, edges: bool) -> None:
        """Replace what is shown."""
        shape = drawing.shape
        mapper, look = self._body.GetMapper(), self._body.GetProperty()
        mapper.SetInputData(_for_browser(shape.body))
        look.SetLighting(shape.is_lit and not shape.is_cloud)
        look.SetEdgeVisibility(edges and not shape.is_cloud)
        look.SetEdgeColor(*_rgb(INK))
        look.SetRepresentation(0 if shape.is_cloud else 2)
        look.SetPointSize(_POINT_SIZE)
        look.SetLineWidth(_LINE_WIDTH if not shape.is_cloud and not edges else 1.0)
        look.SetColor(*_rgb(PLAIN))
        mapper.SetScalarVisibility(drawing.colours is not None)
        if drawing.colours is not None:
            on_cells = SHOWN in shape.body.cell_data
            mapper.SetScalarMode(4 if on_cells else 3)
            mapper.SelectColorArray(SHOWN)
            mapper.SetArrayAccessMode(1)
            mapper.SetColorModeToMapScalars()
            mapper.SetInterpolateScalarsBeforeMapping(not on_cells)
            mapper.SetLookupTable(_lookup_table(drawing.colours))
            mapper.SetScalarRange(drawing.colours.low, drawing.colours.high)
        has_outline = shape.outline is not None and not edges
        self._outline.SetVisibility(has_outline)
        if has_outline:
            self._outline.GetMapper().SetInputData(_for_browser(shape.outline))
            self._outline.GetMapper().SetScalarVisibility(False)

    def aim(self, drawing: Drawing) -> None:
        """Place the camera in front of what is shown."""
        towards, up = view_vectors(None, drawing.shape.flat)
        corners = drawing.shape.corners
        corners = corners[np.isfinite(corners).all(axis=1)]
        centre = (corners.min(axis=0) + corners.max(axis=0)) / 2
        radius = float(np.linalg.norm(corners - centre, axis=1).max()) or 1.0
        camera = self._renderer.GetActiveCamera()
        camera.SetFocalPoint(*centre)
        camera.SetPosition(*(centre + 4 * radius * towards))
        camera.SetViewUp(*up)
        camera.SetParallelScale(1.05 * radius)
        camera.SetClippingRange(0.5 * radius, 8 * radius)
        corner = self._corner.GetActiveCamera()
        corner.SetPosition(*(corner.GetDistance() * towards + np.array(corner.GetFocalPoint())))
        corner.SetViewUp(*up)


def _axes() -> Any:
    """A corner with the directions of x, y and z; the browser turns it with the mesh."""
    import pyvista
    from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer

    corner = vtkRenderer()
    corner.SetViewport(*_CORNER)
    corner.SetBackground(1.0, 1.0, 1.0)
    corner.InteractiveOff()
    for direction, colour in zip(np.eye(3).tolist(), AXES.values(), strict=True):
        actor, mapper = vtkActor(), vtkPolyDataMapper()
        arrow = pyvista.Arrow(
            direction=direction, tip_length=0.3, tip_radius=0.12, shaft_radius=0.045
        )
        arrow.clear_data()
        mapper.SetInputData(arrow)
        actor.SetMapper(mapper)
        actor.GetProperty().SetColor(*_rgb(colour))
        actor.GetProperty().SetLighting(False)
        corner.AddActor(actor)
    corner.ResetCamera((-1.0, 1.0, -1.0, 1.0, -1.0, 1.0))
    return corner


def bar_gradient(colours: Colours) -> str:
    """A colour map as a CSS gradient, from below."""
    stops = _map(colours.map, 16)[:, :3]
    listed = ", ".join(f"rgb({r}, {g}, {b})" for r, g, b in stops.tolist())
    return f"linear-gradient(to top, {listed})"


def _map(name: str, count: int) -> NDArray[np.uint8]:
    """Colours of a map, [count, 4]."""
    from matplotlib import colormaps

    return np.round(255 * colormaps[name](np.linspace(0, 1, count))).astype(np.uint8)


def _lookup_table(colours: Colours) -> Any:
    from pyvista import convert_array
    from vtkmodules.vtkCommonCore import vtkLookupTable

    table: Any = vtkLookupTable()
    table.SetNumberOfTableValues(NUM_COLOURS)
    table.SetTable(convert_array(_map(colours.map, NUM_COLOURS)))
    table.SetRange(colours.low, colours.high)
    table.SetNanColor(*_rgb(MISSING), 1.0)
    return table


def _for_browser(surface: Any) -> Any:
    """Points and values in 32 bits, and the values alone."""
    import pyvista

    points = np.asarray(surface.points)
    lean = pyvista.PolyData()
    lean.SetPoints(pyvista.vtk_points(points.astype(np.float32), force_float=False))
    for kind in ("Verts", "Lines", "Polys", "Strips"):
        getattr(lean, f"Set{kind}")(getattr(surface, f"Get{kind}")())
    for source, target in (
        (surface.point_data, lean.point_data),
        (surface.cell_data, lean.cell_data),
    ):
        if SHOWN in source:
            target[SHOWN] = np.asarray(source[SHOWN]).astype(np.float32)
    return lean


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return red, green, blue
