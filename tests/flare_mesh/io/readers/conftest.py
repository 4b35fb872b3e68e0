"""Checks that the readers of all formats share."""

import numpy as np
import pytest

from flare_mesh.io import read_mesh


@pytest.fixture
def refuse_cuts():
    return _refuse_cuts


def _refuse_cuts(path, cut_file=None, num=25, seed=0, **options):
    """Each of 25 random cuts of a file is refused, or gives exactly the whole file's mesh."""
    cut_file = path if cut_file is None else cut_file
    whole, content = read_mesh(path, **options), cut_file.read_bytes()
    rng = np.random.default_rng(seed)
    refused = 0
    for size in rng.integers(0, len(content), num):
        cut_file.write_bytes(content[:size])
        try:
            got = read_mesh(path, **options)
        except ValueError:
            refused += 1
            continue
        assert got.keys() == whole.keys(), size
        for key in whole.keys():  # noqa: SIM118
            assert np.array_equal(np.asarray(got[key]), np.asarray(whole[key])), (size, key)
    cut_file.write_bytes(content)
    assert refused >= num - 2
