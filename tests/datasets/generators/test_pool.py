import os
import time

import pytest

from flare_mesh.datasets.generators.pool import run_tasks


def describe(number):
    return number, os.getpid(), os.environ["OMP_NUM_THREADS"]


def fail(number):
    if number == 1:
        raise ValueError("not this one")
    time.sleep(0.01)
    return number


def test_tasks_in_other_processes_of_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    results = sorted(run_tasks(describe, [(i,) for i in range(6)], 2))
    numbers, processes, threads = zip(*results, strict=True)
    assert numbers == (0, 1, 2, 3, 4, 5)
    assert os.getpid() not in processes
    assert set(threads) == {"1"}
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_an_error_ends_the_run():
    with pytest.raises(ValueError, match="not this one"):
        list(run_tasks(fail, [(i,) for i in range(1000)], 1))
