import filecmp
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("distributed")

from flare_mesh.workers import THREAD_LIMITS
from lpbf.dataset.case_file import file_digest
from lpbf.dataset.cluster import _checker as checker
from lpbf.dataset.cluster import open_cluster
from lpbf.generate import generate, main

TIMEOUT = 120.0


@pytest.fixture(scope="module")
def small(tiny_settings):
    """Settings of a set that rejects the larger parts."""
    return replace(tiny_settings, max_nodes=260)


class Cluster:
    """A scheduler and workers on this machine, each a process without children."""

    def __init__(self, folder):
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.processes = []
        arguments = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        self.scheduler = self.start("scheduler", *arguments, "--scheduler-file", str(self.file))
        until(lambda: self.file.is_file() and self.file.stat().st_size > 0)
        self.address = json.loads(self.file.read_text())["address"]

    def start(self, kind, *arguments, limit="1"):
        environment = {**os.environ, **dict.fromkeys(THREAD_LIMITS, limit)}
        log = (self.folder / f"{kind}{len(self.processes)}.log").open("w")
        command = [sys.executable, "-m", "distributed.cli.dask_" + kind, *arguments]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        log.close()
        self.processes.append(process)
        return process

    def worker(self, threads="1", limit="1"):
        return self.start(
            *("worker", self.address, "--no-nanny", "--no-dashboard", "--nthreads", threads),
            *("--local-directory", str(self.folder / "scratch")),
            limit=limit,
        )

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()


def until(condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


def files_of(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


@pytest.mark.slow
def test_a_lost_worker_does_not_change_the_data_set(cluster, tmp_path, small):
    first, _ = cluster.worker(), cluster.worker()
    out = tmp_path / "set"

    def kill_one():
        until(lambda: len(list(out.glob("t*/*.npz"))) >= 3)
        first.send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    assert generate(out, 12, settings=small, scheduler=cluster.address) == 12
    killer.join()
    assert first.wait() == -signal.SIGKILL

    generate(tmp_path / "local", 12, settings=small, workers=2)
    assert files_of(out) == files_of(tmp_path / "local")
    files = [name for name in files_of(out) if name != "timing.json"]
    assert filecmp.cmpfiles(out, tmp_path / "local", files, shallow=False)[1:] == ([], [])
    assert (out / "rejected.jsonl").read_text().count("over the limit of 20 %") > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": "2"}, "runs 2 tasks at a time; start it with --nthreads 1"),
        ({"limit": "3"}, "may use several threads; start it with OMP_NUM_THREADS=1 "),
    ],
)
def test_a_worker_that_does_not_fit(cluster, tmp_path, small, options, message):
    cluster.worker(**options)
    with pytest.raises(ValueError, match=message):
        generate(tmp_path / "set", 1, settings=small, scheduler=cluster.address)


def test_no_scheduler_there(tmp_path):
    with (
        pytest.raises(ConnectionError, match=r"127.0.0.1:9: no Dask scheduler answers within"),
        open_cluster("tcp://127.0.0.1:9", timeout=0.2),
    ):
        pass


@pytest.mark.parametrize("address", ["", "nonsense", "foo://x", "tcp://host", "tcp://host:70000"])
def test_not_an_address(address):
    with (
        pytest.raises(ValueError, match=f"--scheduler: expected an address .* .got '{address}'"),
        open_cluster(address),
    ):
        pass


def test_dask_is_not_installed(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["--out", str(tmp_path / "set"), "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert "pip install 'flare-mesh[cluster]'" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


class Worker:
    """The attributes that the check of a worker uses."""

    class state:  # noqa: N801
        nthreads = 1


def test_check_of_a_worker(tmp_path, monkeypatch):
    for name in THREAD_LIMITS:
        monkeypatch.setenv(name, "1")
    shared = tmp_path / "settings.json"
    shared.write_text("{}")
    versions = {"numpy": np.__version__}
    assert checker(versions, shared, file_digest(shared))(Worker) is None
    other = checker({"numpy": "1.0"}, shared, file_digest(shared))(Worker)
    assert other == f"has numpy {np.__version__}, here it is 1.0; install the same version there"
    assert "has no no-such-package" in checker({"no-such-package": "1"}, shared, "")(Worker)
    before = file_digest(shared)
    shared.write_text("[]")
    assert "does not see" in checker(versions, shared, before)(Worker)
    shared.unlink()
    assert f"does not see {tmp_path}; mount" in checker(versions, shared, before)(Worker)
