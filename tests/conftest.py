import json
import os
import resource
import shutil
import sys
import warnings
from contextlib import contextmanager
from io import BytesIO
from itertools import starmap

# Each worker of pytest-xdist computes with one thread, and so do the processes that tests start.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np
import pytest
import torch
from hypothesis import settings

if not torch.cuda.is_available():  # before anything imports Triton
    os.environ.setdefault("TRITON_INTERPRET", "1")

from flare_mesh.datasets import LPBF
from lpbf.dataset.settings import Settings
from lpbf.generate import generate

# Hypothesis draws the same examples in each run; --hypothesis-profile default searches for others.
settings.load_profile("ci")

TINY = Settings(
    pitch=(4.0, 4.0, 4.0),
    size=(16.0, 24.0),
    min_nodes=30,
    max_volume_error=9.0,
    test_fraction=0.25,
)


@pytest.fixture(scope="session")
def tiny_settings():
    """Settings of a data set of a few small parts."""
    return TINY


@pytest.fixture
def full_disk():
    """Context in which the system refuses files larger than a number of bytes."""

    @contextmanager
    def limited(size):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


OWN_CODE = """
from pathlib import Path

Path(__file__).with_name("imported").touch()

import torch
from torch_geometric.data import Data

from flare_mesh.models import FieldModel


class Net(FieldModel):
    def __init__(self, in_channels, out_channels, hidden_channels=4, *, pos_dim=3):
        super().__init__(locals())
        self.first = torch.nn.Linear(pos_dim + in_channels, hidden_channels)
        self.last = torch.nn.Linear(hidden_channels, out_channels)

    def evaluate(self, nodes):
        return self.last(self.first(nodes.features()).tanh())


class Plates(torch.utils.data.Dataset):
    def __init__(self, count, channels=3):
        self.count, self.channels = count, channels

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        pos = torch.linspace(1, 2, 2 * (number + 3)).reshape(-1, 2)
        load = torch.full((len(pos),), number + 1.0)
        y = load[:, None] * pos[:, :1].expand(-1, self.channels)
        return Data(pos=pos, x=load, y=y)
"""


@pytest.fixture
def own_code(tmp_path, monkeypatch):
    """File that the module ``own_code`` of a user writes when it is imported."""
    (tmp_path / "own_code.py").write_text(OWN_CODE)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "imported"
    sys.modules.pop("own_code", None)


@pytest.fixture(scope="session")
def lpbf_root(tmp_path_factory):
    """A small LPBF data set: six cases for training, two for testing."""
    root = tmp_path_factory.mktemp("data") / "lpbf"
    with pytest.MonkeyPatch.context() as patch:  # without the start of processes
        patch.setattr(
            "lpbf.dataset.generate.run_tasks", lambda function, tasks, _: starmap(function, tasks)
        )
        generate(root, 8, settings=TINY)
    assert len(LPBF(root)) == 6
    return root


@pytest.fixture(scope="session")
def trained(lpbf_root, tmp_path_factory):
    """Folder and summary of a surrogate that was trained for a moment."""
    from flare_mesh.cli import main

    out = tmp_path_factory.mktemp("runs") / "tiny"
    model = {"hidden_channels": 16, "num_layers": 1, "heads": 2, "num_latents": 4}
    options = {
        "--config": "lpbf_cpu",
        "--out": out,
        "--data.root": lpbf_root,
        "--data.batch_size": 2,
        "--data.augment": "null",
        "--model.average_symmetries": "false",
        "--budget": "null",
        "--model.size": "null",
        "--trainer.max_epochs": 3,
        "--trainer.accelerator": "cpu",
        "--model.options": json.dumps(model),
        "--model.optimizer.lr": 5e-3,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main(["fit", *(f"{key}={value}" for key, value in options.items())]) == 0
    return out, json.loads((out / "summary.json").read_text())


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A browser context of real Chromium, without a profile, that reaches this machine alone."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if program is None:
        pytest.fail("expected Chromium; install it, for instance by 'apt-get install chromium'")
    flags = (
        "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --use-gl=angle --use-angle=swiftshader "
        "--enable-unsafe-swiftshader"
    )
    with sync_playwright() as tools:
        context = tools.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=program,
            args=flags.split(),
            viewport={"width": 1280, "height": 800},
            # Names of other machines are not resolved.
            proxy={"server": "http://127.0.0.1:9", "bypass": "127.0.0.1"},
        )
        context.set_default_timeout(300_000)
        yield context
        context.close()


@pytest.fixture
def page(chromium):
    """A page that must log no error, and request nothing from another machine."""
    page = chromium.new_page()
    errors, requests = [], []
    page.on("console", lambda one: errors.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.on("websocket", lambda socket: requests.append(socket.url))
    yield page
    page.close()
    assert errors == []
    own = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:", "file:")
    assert [url for url in requests if not url.startswith(own)] == []
    assert requests


@pytest.fixture
def coloured(page):
    """Function that gives the share of the pixels of an element that are neither white nor grey."""
    from PIL import Image

    def share(selector):
        picture = Image.open(BytesIO(page.locator(selector).first.screenshot())).convert("RGB")
        pixels = np.asarray(picture).astype(int)
        return float((np.ptp(pixels, axis=2) > 40).mean())

    return share
