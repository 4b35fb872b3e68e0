"""Results do not depend on the number of threads."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from lpbf import HexMesh, Process, simulate


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def part():
    mask = np.ones((7, 6, 6), dtype=bool)
    mask[2:4, 2:5, 1:4] = False
    return HexMesh.from_mask(mask, (1.0, 1.2, 0.8))


def test_in_one_process(threads):
    process = Process(inherent_strain=(-0.004, -0.001, -0.002), scan_rotation=67.0)
    results = []
    for number in (1, 2, 3):
        threads(number)
        results.append(simulate(part(), process))
    for other in results[1:]:
        scale = np.abs(other.displacement).max()
        np.testing.assert_allclose(results[0].displacement, other.displacement, atol=1e-7 * scale)
        scale = np.abs(other.stress).max()
        np.testing.assert_allclose(results[0].stress, other.stress, atol=1e-6 * scale)


SCRIPT = """
import sys
import numpy as np
from lpbf import HexMesh, simulate
result = simulate(HexMesh.from_mask(np.ones((10, 9, 8)), 1.0))
np.save(sys.argv[1], result.displacement)
"""


@pytest.mark.slow
def test_in_processes_of_their_own(tmp_path):
    found = []
    for number in ("1", "2"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, number)}
        path = tmp_path / f"{number}.npy"
        subprocess.run([sys.executable, "-c", SCRIPT, path], env=environment, check=True)
        found.append(np.load(path))
    np.testing.assert_allclose(*found, atol=1e-7 * np.abs(found[0]).max())
