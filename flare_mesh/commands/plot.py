"""``flare-mesh plot``: pictures and animations of mesh files."""

from pathlib import Path
from typing import Any


def plot_file(
    file: str,
    field: str | None = None,
    compare: str | None = None,
    out: str | None = None,
    title: str = "",
    size: list[int] | None = None,
    fps: float = 10.0,
    component: int | str | None = None,
    step: int | None = None,
    warp: str | None = None,
    factor: float | None = None,
    slice: str | list[str] | None = None,
    clip: str | list[str] | None = None,
    threshold: float | list[float] | None = None,
    contours: int | list[float] | None = None,
    glyphs: str | None = None,
    streamlines: str | None = None,
    edges: bool | None = None,
    view: str | list[float] | None = None,
    clim: list[float] | None = None,
    cmap: str | None = None,
    label: str | None = None,
    max_faces: int = 1_000_000,
) -> None:
    """Draw a field of a mesh file, compare it with another, or animate a series.

    Args:
        file: Mesh file of any readable format, or a .pvd file. Can be given without --file.
        field: Name of a node field or cell field; without it the mesh alone is drawn.
        compare: Mesh file with the same field, or the name of another field: both and their
            difference are drawn.
        out: Picture (.png, .svg, .pdf, .eps), or animation of a series (.gif, .mp4). Without it, a
            window where there is a screen, and otherwise a .png beside the file.
        title: Headline.
        size: Width and height in pixels.
        fps: Pictures per second of an animation.
        component: Number or name (x, xy) of the component of a vector or tensor.
        step: Index of the time step of files that have several, -1 for the last.
        warp: Displacement field by which the shape is deformed.
        factor: Scale factor of the displacement; by default one that makes it visible.
        slice: Planes of cuts, such as z=10, or x+2y=10 for an oblique one, or z for the centre.
        clip: Planes whose one side is removed: x<5 keeps what is below 5, x+2y<10 what is below an
            oblique plane, x=5 removes the side towards the viewer. (Quote < and > for the shell.)
        threshold: Show the cells with values from this number, or between two.
        contours: Number of surfaces or lines of equal value, or a list of values.
        glyphs: Vector field to show by arrows.
        streamlines: Vector field to show by streamlines.
        edges: Draw the edges of the cells; by default of meshes that are not too fine.
        view: iso, xy, xz, yz, yx, zx, zy, or three numbers towards the viewer.
        clim: Lower and upper end of the colours.
        cmap: Colour map.
        label: Title of the colour bar.
        max_faces: Number of faces above which a surface is reduced for view.
    """
    from flare_mesh.visualize import animate, plot_comparison, plot_field
    from flare_mesh.visualize.film import FILM_SUFFIXES
    from flare_mesh.visualize.picture import has_screen

    options: dict[str, Any] = {
        "component": component,
        "warp": warp,
        "factor": factor,
        "slice": slice,
        "clip": clip,
        "threshold": tuple(threshold) if isinstance(threshold, list) else threshold,
        "contours": contours,
        "glyphs": glyphs,
        "streamlines": streamlines,
        "edges": edges,
        "view": view,
        "clim": _pair("clim", clim),
        "cmap": cmap,
        "label": label,
        "max_faces": max_faces,
    }
    if size is not None:
        options["size"] = _pair("size", size)
    if compare is not None and field is None:
        raise ValueError("compare: expected a field to compare; give --field")
    if out is not None and Path(out).suffix.lower() in FILM_SUFFIXES:
        if compare is not None or step is not None:
            raise ValueError(f"{out}: an animation has no compare and no step; give a picture")
        animate(file, field, path=out, fps=fps, title=title, **options)
        print(f"animation: {out}")
    else:
        path = out if out is not None or has_screen() else _beside(file, field)
        options |= {"path": path, "title": title, "step": step}
        if compare is None:
            plotter = plot_field(file, field, **options)
        else:
            plotter = plot_comparison(
                file, field, compare, names=_names(file, field, compare), **options
            )
        if plotter is None:
            print(f"picture: {path}")
        else:
            plotter.show()


def _pair(name: str, values: list[Any] | None) -> tuple[Any, Any] | None:
    if values is None:
        return None
    if len(values) != 2:
        raise ValueError(f"{name}: expected two numbers (got {values})")
    return values[0], values[1]


def _beside(file: str, field: str | None) -> str:
    """Name of the picture beside a file."""
    path = Path(file)
    return str(path.with_name(f"{path.stem}.{(field or 'mesh').replace('/', '_')}.png"))


def _names(file: str, field: str | None, compare: str) -> tuple[str, str, str]:
    """Headlines of the views of a comparison."""
    if not Path(compare).is_file():
        return str(field), compare, "difference"
    names = Path(file).name, Path(compare).name
    return (*names, "difference") if names[0] != names[1] else (file, compare, "difference")
