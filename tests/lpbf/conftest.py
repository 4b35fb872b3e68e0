"""Fixtures of the simulator's tests: materials, small shapes, and assembled stiffness matrices."""

import filecmp
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from lpbf import HexMesh, Material
from lpbf.core.element import brick, isotropic_elasticity
from lpbf.core.table import Table
from lpbf.core.wall_grid import wall_grid_elasticity

SPACING = (1.0, 1.3, 0.7)
ELASTIC = {"youngs_modulus": 100e3, "poisson_ratio": 0.3}


@pytest.fixture(scope="session")
def spacing():
    return SPACING


@pytest.fixture(scope="session")
def steel():
    return Material("steel", 200_000.0, 0.3, thermal_expansion=12e-6)


@pytest.fixture(scope="session")
def linear():
    """Constant properties, no latent heat: alpha = 5e-6 m^2/s."""
    return Material(
        "linear",
        **ELASTIC,
        density=4000.0,
        conductivity=10.0,
        specific_heat=500.0,
        solidus=1600.0,
        liquidus=1650.0,
        latent_heat=0.0,
    )


@pytest.fixture(scope="session")
def alloy():
    """Temperature-dependent properties with latent heat."""
    return Material(
        "alloy",
        **ELASTIC,
        density=4420.0,
        conductivity=Table((20.0, 500.0, 1600.0), (6.0, 12.0, 28.0)),
        specific_heat=Table((20.0, 900.0, 1000.0, 1700.0), (550.0, 700.0, 640.0, 800.0)),
        solidus=1604.0,
        liquidus=1650.0,
        latent_heat=286e3,
    )


@pytest.fixture(scope="session")
def stiffness():
    """Stiffness of a cell, [24, 24]."""
    return brick(SPACING, isotropic_elasticity(200_000.0, 0.3)).stiffness


@pytest.fixture(scope="session")
def two_stiffnesses(stiffness):
    """Stiffness of a solid cell and of a cell of thin walls, [2, 24, 24]."""
    walls = brick(SPACING, wall_grid_elasticity(200_000.0, 0.3, 0.2)).stiffness
    return np.stack([stiffness, walls])


@pytest.fixture(scope="session")
def masks():
    """Strategy for small shapes with a voxel in the lowest row."""

    def strategy(x=4, y=3, z=5):
        shapes = st.tuples(*(st.integers(1, n) for n in (x, y, z)))
        arrays = shapes.flatmap(lambda shape: hnp.arrays(bool, shape))
        return arrays.map(_with_a_voxel)

    return strategy


def _with_a_voxel(mask):
    mask = mask.copy()
    mask[0, 0, 0] = True
    return mask


@pytest.fixture(scope="session")
def supported_masks(masks):
    """Strategy for small shapes whose columns all rest on the plate."""

    def strategy(x=4, y=3, z=5):
        return masks(x, y, z).map(lambda mask: np.logical_and.accumulate(mask, axis=2))

    return strategy


@pytest.fixture(scope="session")
def table():
    """Two legs of unequal width under a top with a hole and overhangs."""
    mask = np.zeros((5, 4, 6), dtype=bool)
    mask[0:2, :, :4] = True
    mask[4, :2, :4] = True
    mask[:, :, 4:] = True
    mask[1, 1, 2:] = False
    return HexMesh.from_mask(mask, SPACING)


@pytest.fixture(scope="session")
def assembled():
    """Assemble cell matrices in VTK's order over cells [n, 8] to a sparse matrix of all dofs.

    The cells have one matrix [24, 24] or each its own [n, 24, 24].
    """

    def assemble(cells, matrix, num_nodes, factor=None):
        dofs = (3 * np.asarray(cells)[:, :, None] + np.arange(3)).reshape(-1, 24)
        rows, columns = np.repeat(dofs, 24, axis=1), np.tile(dofs, 24)
        factor = np.ones(len(dofs)) if factor is None else factor
        values = factor[:, None] * matrix.reshape(-1, 576)
        size = 3 * num_nodes
        return sparse.csr_matrix((values.ravel(), (rows.ravel(), columns.ravel())), (size, size))

    return assemble


@pytest.fixture
def threads():
    """Set the number of threads during a test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def small_set(tiny_settings):
    """Settings of a data set of small parts, of which islands may be dropped."""
    return replace(tiny_settings, max_dropped=1.0)


@pytest.fixture(scope="session")
def command():
    """Arguments of ``lpbf.generate`` with the settings of ``small_set``, and others."""

    def arguments(out, *more):
        small = (
            "--pitch 4,4,4 --size 16 24 --min-nodes 30 --max-volume-error 9 --test-fraction 0.25 "
            "--max-dropped 1"
        )
        return ["--out", str(out), *small.split(), *more]

    return arguments


@pytest.fixture
def inline(monkeypatch, threads):
    """Run the cases of a data set in this process, which is faster."""
    monkeypatch.setattr(
        "lpbf.dataset.generate.run_tasks", lambda function, tasks, _: (function(*t) for t in tasks)
    )
    threads(1)


@pytest.fixture(scope="session")
def rejections():
    """Read the rejections of a data set."""

    def read(out):
        return [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]

    return read


@pytest.fixture(scope="session")
def files_of():
    """Names of all files of a folder, sorted."""
    return _files_of


def _files_of(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


@pytest.fixture(scope="session")
def assert_same_sets():
    """Compare two data sets, except for the seconds of the cases."""

    def compare(a, b):
        assert _files_of(a) == _files_of(b)
        files = [name for name in _files_of(a) if name != "timing.json"]
        differing = filecmp.cmpfiles(a, b, files, shallow=False)[1:]
        assert differing == ([], [])

    return compare
