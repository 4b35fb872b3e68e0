"""Pictures against stored ones; ``make references`` draws these again."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from flare_mesh import MeshData
from flare_mesh.visualize import (
    plot_comparison,
    plot_distortion,
    plot_error_histogram,
    plot_field,
    plot_gallery,
    plot_parity,
    plot_spectra,
)

REFERENCES = Path(__file__).with_name("references")
# Machines draw edges and texts differently by a pixel, so means over squares are compared:
# the mean of their differences and the largest, of colours from 0 to 255.
SQUARE, MEAN, LARGEST = 10, 2.0, 30.0
SMALL = {"size": (240, 200)}


def solid():
    """A bar of 6 x 2 x 2 hexahedra that is bent upwards."""
    x, y, z = torch.meshgrid(torch.arange(7), torch.arange(3), torch.arange(3), indexing="ij")
    node = torch.arange(63).view(7, 3, 3)
    steps = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)]
    corners = [node[i : i + 6, j : j + 2, k : k + 2].flatten() for i, j, k in steps]
    mesh = MeshData(
        torch.stack([x, y, z], -1).view(-1, 3).double(), hexahedron=torch.stack(corners, 1)
    )
    mesh.u = torch.stack([0 * mesh.pos[:, 0], 0 * mesh.pos[:, 0], 0.01 * mesh.pos[:, 0] ** 2], 1)
    mesh.predicted_u = mesh.u * 1.2
    mesh.stress = (mesh.pos[:, 0] - 6) * (mesh.pos[:, 2] - 1)
    mesh.units = {"u": "mm", "stress": "MPa"}
    return mesh


def plate():
    """A plate of 8 x 5 quadrilaterals with a velocity around its centre, and a pressure."""
    x, y = torch.meshgrid(torch.arange(9.0), torch.arange(6.0), indexing="ij")
    node = torch.arange(54).view(9, 6)
    corners = (node[:-1, :-1], node[1:, :-1], node[1:, 1:], node[:-1, 1:])
    quads = torch.stack([one.flatten() for one in corners], 1)
    x, y = x.flatten(), y.flatten()
    mesh = MeshData(torch.stack([x, y], 1), quad=quads)
    mesh.velocity = torch.stack([2.5 - y, x - 4], 1)
    mesh.pressure = x + 0.1 * y**2
    return mesh


def sliced(path, **options):
    mesh = solid()
    mesh.stress[3] = torch.nan
    given = {"slice": ["x", "y"], "glyphs": "u", **options}
    plot_field(mesh, "stress", path=path, **given, **SMALL)


def points(path, **options):
    pos = torch.rand(300, 3, generator=torch.Generator().manual_seed(0))
    plot_field(MeshData(pos, height=pos[:, 2]), "height", path=path, **options, **SMALL)


def gallery(path):
    mesh = solid()
    parts = {"up": (mesh, mesh.u), "down": (mesh, -mesh.u)}
    plot_gallery(parts, path=path, columns=2, panel=160, title="bars")


def distortion(path):
    mesh = solid()
    plot_distortion(mesh, mesh.predicted_u, mesh.u, path=path, title="bar", note="unlike")
    with Image.open(path) as picture:
        smaller = picture.convert("RGB").reduce(4)
    smaller.save(path)


def chart(draw):
    """A function that writes a chart."""

    def write(path, *changes):
        figure = Figure(figsize=(3, 2.4), dpi=80, layout="constrained")
        draw(figure.subplots(), *changes)
        figure.savefig(path)

    return write


TRUTH = np.linspace(0, 1, 60)
PREDICTED = TRUTH**1.5 + 0.05 * np.sin(40 * TRUTH)


DRAWINGS = {
    "deformed": lambda path, **options: plot_field(
        solid(),
        "stress",
        path=path,
        **{"warp": "u", "factor": 5, "title": "bar", **SMALL, **options},
    ),
    "sliced": sliced,
    "comparison": lambda path, **options: plot_comparison(
        solid(), "u", path=path, size=(480, 200), **{"warp": "u", **options}
    ),
    "clipped": lambda path, **options: plot_field(
        solid(), "stress", clip="y", contours=3, edges=True, path=path, **options, **SMALL
    ),
    "flat": lambda path, **options: plot_field(
        plate(), "pressure", path=path, **{"glyphs": "velocity", **SMALL, **options}
    ),
    "points": points,
    "distortion": distortion,
    "gallery": gallery,
    "parity": chart(lambda ax, a=PREDICTED, b=TRUTH: plot_parity(a, b, ax=ax)),
    "histogram": chart(lambda ax, a=PREDICTED, b=TRUTH: plot_error_histogram(a, b, ax=ax)),
    "spectra": chart(lambda ax, power=1.0: plot_spectra(spectra(power), ax=ax)),
}


def spectra(power):
    return torch.exp(-power * torch.linspace(0, 6, 32)).expand(1, 2, 32)


def differences(now, name):
    """Mean and largest difference of the squares of a picture and a stored one."""
    now, before = squares(now), squares(REFERENCES / f"{name}.png")
    assert now.shape == before.shape
    difference = np.abs(now - before)
    return difference.mean(), difference.max()


def squares(path):
    """Mean colours of the squares of a picture."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"), dtype=float)
    height, width = (size // SQUARE for size in pixels.shape[:2])
    pixels = pixels[: height * SQUARE, : width * SQUARE]
    return pixels.reshape(height, SQUARE, width, SQUARE, 3).mean(axis=(1, 3))


@pytest.mark.parametrize("name", DRAWINGS)
def test_pictures_are_as_before(name, tmp_path):
    DRAWINGS[name](tmp_path / "now.png")
    mean, largest = differences(tmp_path / "now.png", name)
    assert mean < MEAN
    assert largest < LARGEST


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("deformed", {"cmap": "viridis"}),
        ("deformed", {"view": (0.6, 1.0, 0.6)}),
        ("deformed", {"factor": -5}),
        ("sliced", {"slice": ["x", "z"]}),
        ("comparison", {"component": "x"}),
        ("flat", {"view": "yx"}),
        ("flat", {"glyphs": None}),
        ("points", {"cmap": "viridis_r"}),
    ],
)
def test_another_picture_is_noticed(name, changes, tmp_path):
    """Other colours, directions, shapes and fields: the tolerance is not too wide for them."""
    DRAWINGS[name](tmp_path / "other.png", **changes)
    mean, largest = differences(tmp_path / "other.png", name)
    assert mean > MEAN or largest > LARGEST


@pytest.mark.parametrize(
    ("name", "changes"),
    [("parity", (TRUTH, PREDICTED)), ("histogram", (TRUTH, PREDICTED)), ("spectra", (0.5,))],
)
def test_another_chart_is_noticed(name, changes, tmp_path):
    DRAWINGS[name](tmp_path / "other.png", *changes)
    mean, largest = differences(tmp_path / "other.png", name)
    assert mean > MEAN or largest > LARGEST


def test_references_are_small():
    stored = {path.stem: path.stat().st_size for path in REFERENCES.iterdir()}
    assert {*stored} == {*DRAWINGS}
    assert max(stored.values()) < 20_000


if __name__ == "__main__":
    for name, draw in DRAWINGS.items():
        path = REFERENCES / f"{name}.png"
        draw(path)
        with Image.open(path) as picture:
            fewer = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        fewer.save(path, optimize=True)
