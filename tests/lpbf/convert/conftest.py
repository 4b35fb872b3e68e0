"""Writer of EnSight Gold, C binary, without node numbers."""

from types import SimpleNamespace

import numpy as np
import pytest

from lpbf import HexMesh


def text(words):
    return words.encode().ljust(80, b"\0")


def integers(*values):
    return np.array(values, dtype="<i4").tobytes()


def floats(values):
    """Values component by component."""
    return np.ascontiguousarray(np.asarray(values, dtype="<f4").T).tobytes()


def geometry(points, cells, kind="hexa8", header="C Binary", number=1):
    lines = [header, "a part", "in a test", "node id off", "element id off"]
    return b"".join(map(text, lines)) + part(points, cells, kind, number)


def part(points, cells, kind="hexa8", number=1):
    head = text("part") + integers(number) + text(f"part {number}") + text("coordinates")
    nodes = integers(len(points)) + floats(points)
    return head + nodes + text(kind) + integers(len(cells)) + integers(*(np.ravel(cells) + 1))


def variable(values, number=1):
    return text("a field") + field(values, number)


def field(values, number=1):
    return text("part") + integers(number) + text("coordinates") + floats(values)


CASE = """FORMAT
type: ensight gold

GEOMETRY
model: 2 mechanical_*.geo

VARIABLE
vector per node: 1 Displacement mechanical00_*.dis.ens
scalar per node: 1 Von_Mises mechanical00_*.svm.ens
scalar per node: 1 Temperature mechanical00_*.tmp.ens
scalar per node: 1 Recoater mechanical00_*.rct.ens

TIME
time set: 1
number of steps: {frames}
filename start number: 1
filename increment: 1
time values: {times}
time set: 2
number of steps: {meshes}
filename start number: 1
filename increment: 1
time values: {mesh_times}
"""


def write_netfabb(folder, meshes, fields, mesh_of, times, header="Fortran Binary", name=""):
    """Write a result in the layout of Netfabb.

    Args:
        folder: Folder of the case; the files are in its ``results/``.
        meshes: (points, cells) of each mesh.
        fields: (displacement, von Mises, temperature) of each frame.
        mesh_of: Number of each frame's mesh, increasing.
        times: Time of each frame.
    """
    results = folder / "results"
    results.mkdir(parents=True)
    for i, (points, cells) in enumerate(meshes):
        (results / f"{name}mechanical_{i + 1}.geo").write_bytes(
            geometry(points, cells, header=header)
        )
    for i, values in enumerate(fields):
        for suffix, value in zip(("dis", "svm", "tmp", "rct"), (*values, values[1]), strict=True):
            file = results / f"{name}mechanical00_{i + 1}.{suffix}.ens"
            file.write_bytes(variable(value))
    starts = [times[list(mesh_of).index(i)] for i in range(len(meshes))]
    path = results / f"{name}mechanical.case"
    path.write_text(
        CASE.format(
            frames=len(times),
            times="\n".join(f"{t:.5e}" for t in times),
            meshes=len(meshes),
            mesh_times=" ".join(f"{t:.5e}" for t in starts),
        ).replace(" mechanical", f" {name}mechanical")
    )
    return path


def growing():
    """Three layers on a plate: frames, meshes and times as Netfabb has them, and the fields."""
    meshes = [
        HexMesh.from_mask(np.ones((3, 2, 1 + layers)), 2.0, (-3.0, -2.0, -2.0))
        for layers in (1, 2, 3)
    ]
    meshes += [meshes[-1], meshes[-1]]  # cooled, and without its plate
    mesh_of = [0, 0, 1, 1, 2, 2, 3, 4]
    times = [0.1, 0.7, 10.3, 10.9, 20.2, 20.8, 500.0, 500.1]
    fields = [
        (
            0.001 * (frame + 1) * meshes[mesh].points,
            100.0 * (frame + 1) + meshes[mesh].points[:, 0],
            np.full(meshes[mesh].num_nodes, 25.0 + frame),
        )
        for frame, mesh in enumerate(mesh_of)
    ]
    return SimpleNamespace(meshes=meshes, mesh_of=mesh_of, times=times, fields=fields)


@pytest.fixture
def ensight():
    """Functions of the writer."""
    return SimpleNamespace(geometry=geometry, part=part, variable=variable, field=field)


@pytest.fixture
def grown():
    """Result of :func:`growing`."""
    return growing()


@pytest.fixture
def write_case(grown):
    """Write the result of a growing part to a folder; return the ``.case`` file."""

    def write(folder, **options):
        meshes = [(mesh.points, mesh.cells) for mesh in grown.meshes]
        return write_netfabb(folder, meshes, grown.fields, grown.mesh_of, grown.times, **options)

    return write
