import multiprocessing
import threading

import numpy as np
import pytest
import torch
from numba import njit

from flare_mesh.compiled import threads
from flare_mesh.compiled.team import fork, next_member, next_task, num_threads, run_tasks


@pytest.fixture(autouse=True, params=["OpenMP", "Python"])
def _two_threads(request, monkeypatch):
    if request.param == "Python":
        monkeypatch.setattr(threads, "_openmp", None)
    elif threads._openmp is None:
        pytest.skip("torch has no GNU OpenMP here")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@njit(nogil=True)
def _count(team, tasks, seen, members, factor):
    if fork(team):
        return
    member = next_member(team)
    task = next_task(team)
    while task < tasks:
        seen[task] += factor * task
        members[member] += 1
        task = next_task(team)


@njit(nogil=True)
def _fail(team, tasks):
    if fork(team):
        return
    task = next_task(team)
    while task < tasks:
        if task == 3:
            raise ValueError
        task = next_task(team)


def _counted(tasks):
    seen, members = np.zeros(tasks), np.zeros(2, np.int64)
    run_tasks(_count, tasks, tasks, seen, members, 2.0)
    assert members.sum() == tasks
    return seen.tolist()


@pytest.mark.parametrize("tasks", [0, 1, 2, 1000])
def test_every_task_once(tasks):
    assert _counted(tasks) == [2.0 * task for task in range(tasks)]
    assert num_threads(tasks) == min(max(tasks, 1), 2)


@pytest.mark.parametrize("count", [1, 2])
def test_a_failure_reaches_the_caller(count):
    torch.set_num_threads(count)
    with pytest.raises((MemoryError, ValueError)):
        run_tasks(_fail, 9, 9)


def _count_in_child(queue):
    queue.put(_counted(9))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system"
)
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_works_after_a_fork():
    wanted = _counted(9)  # the threads exist before the fork
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_count_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=30) == wanted
    child.join()


def test_several_callers_at_once():
    results = {}

    def call(name):
        results[name] = _counted(500)

    callers = [threading.Thread(target=call, args=(i,)) for i in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(results) == 4
    assert all(seen == results[0] for seen in results.values())
