import multiprocessing
import threading

import pytest
import torch

from flare_mesh.compiled import threads as team
from flare_mesh.compiled.threads import run


@pytest.fixture(autouse=True, params=["OpenMP", "Python"])
def _threads(request, monkeypatch):
    if request.param == "Python":
        monkeypatch.setattr(team, "_openmp", None)
    elif team._openmp is None:
        pytest.skip("torch has no GNU OpenMP here")


def test_every_range_once():
    seen = []
    run([0, 3, 3, 10, 11], lambda start, end: seen.append((start, end)))
    assert sorted(seen) == [(0, 3), (3, 3), (3, 10), (10, 11)]


def test_failure_reaches_the_caller():
    def fail(start, end):
        raise ArithmeticError(f"range {start}")

    with pytest.raises(ArithmeticError, match="range"):
        run([0, 1, 2], fail)


def _sum_in_child(queue):
    seen = []
    run(range(9), lambda start, end: seen.append(start))
    queue.put(sorted(seen))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system"
)
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_works_after_a_fork():
    torch.set_num_threads(max(2, torch.get_num_threads()))
    run(range(9), lambda start, end: None)  # the threads exist before the fork
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_sum_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=30) == list(range(8))
    child.join()


def test_several_callers_at_once():
    results = {}

    def call(name):
        seen = []
        run(range(50), lambda start, end: seen.append(start))
        results[name] = sorted(seen)

    callers = [threading.Thread(target=call, args=(i,)) for i in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all(results[i] == list(range(49)) for i in range(4))
