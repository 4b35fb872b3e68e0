import os
import warnings

import pytest
import torch

if not torch.cuda.is_available():  # before anything imports Triton
    os.environ.setdefault("TRITON_INTERPRET", "1")

from flare_mesh.datasets import LPBF
from lpbf.generate import generate
from lpbf.settings import Settings

TINY = Settings(pitch=4.0, size=(16.0, 24.0), min_nodes=30, test_fraction=0.25)


@pytest.fixture(scope="session")
def lpbf_root(tmp_path_factory):
    """A small LPBF data set: six cases for training, two for testing."""
    root = tmp_path_factory.mktemp("data") / "lpbf"
    generate(root, 8, settings=TINY, workers=2)
    assert len(LPBF(root)) == 6
    return root


@pytest.fixture(scope="session")
def trained(lpbf_root, tmp_path_factory):
    """Folder and metrics of a surrogate that was trained for a moment."""
    from flare_mesh.training import fit

    out = tmp_path_factory.mktemp("runs") / "tiny"
    model = {"hidden_channels": 16, "num_layers": 1, "heads": 2, "num_latents": 4}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metrics = fit(lpbf_root, out, model=model, epochs=3, batch_size=2, lr=5e-3)
    return out, metrics
