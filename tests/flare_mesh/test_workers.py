import os
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import pytest

from flare_mesh.workers import WorkerLostError, _Worker, run_tasks


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


def count_threads(number):
    import torch

    return torch.get_num_threads()


def test_one_thread_even_if_a_fork_server_is_running(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    process = get_context("forkserver").Process(target=time.sleep, args=(0,))
    process.start()
    process.join()
    assert list(run_tasks(count_threads, [(0,)], 1)) == [1]


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # an ended process may be a zombie
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    (tmp_path / "run.py").write_text(
        "import os, time\n"
        "from pathlib import Path\n"
        "from flare_mesh.workers import run_tasks\n"
        "def stay(i):\n"
        "    Path(f'{os.getpid()}.pid').touch()\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    list(run_tasks(stay, [(0,), (1,)], 2))\n"
    )
    process = subprocess.Popen([sys.executable, "run.py"], cwd=tmp_path)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    workers = [int(path.stem) for path in tmp_path.glob("*.pid")]
    assert len(workers) == 2
    deadline = time.monotonic() + 10
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.01)
    left = [pid for pid in workers if is_running(pid)]
    for pid in left:
        os.kill(pid, 9)
    assert left == []


def die_once(folder, number):
    """Kills its process at the first try of the third task."""
    if number == 3:
        try:
            (folder / "died").touch(exist_ok=False)
        except FileExistsError:
            return number
        os.kill(os.getpid(), 9)
    return number


@pytest.mark.slow
def test_tasks_of_a_worker_that_was_killed_are_done_again(tmp_path):
    tasks = [(tmp_path, i) for i in range(12)]
    assert sorted(run_tasks(die_once, tasks, 2)) == list(range(12))
    assert (tmp_path / "died").exists()


def die_beside_others(folder, number):
    """Kills its process at the first try of task 1, while tasks 0 and 2 run."""
    running = folder / f"{number}.running"
    running.touch()
    with (folder / f"{number}.tries").open("a") as tries:
        tries.write("x")
    deadline = time.monotonic() + 60
    while len(list(folder.glob("[012].tries"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    found = sorted(folder.glob("*.running"))
    if number == 1 and len((folder / "1.tries").read_text()) == 1:
        os.kill(os.getpid(), 9)
    time.sleep(0.3 if number < 3 else 0)
    running.unlink()
    return number, found == [running]


@pytest.mark.slow
def test_a_task_whose_worker_died_is_tried_alone_and_no_other_is_repeated(tmp_path):
    alone = dict(run_tasks(die_beside_others, [(tmp_path, i) for i in range(12)], 3))
    assert sorted(alone) == list(range(12))
    assert alone[1]
    tries = {int(path.stem): len(path.read_text()) for path in tmp_path.glob("*.tries")}
    assert tries == {**dict.fromkeys(range(12), 1), 1: 2}


def die_of_some(number):
    if number in (2, 7):
        os.kill(os.getpid(), 9)
    return number


@pytest.mark.slow
def test_lost_tasks_are_reported_after_the_others_are_done():
    done = []
    with pytest.raises(WorkerLostError, match="at each try of 2 tasks") as caught:
        done.extend(run_tasks(die_of_some, [(i,) for i in range(12)], 2))
    assert sorted(caught.value.tasks) == [(2,), (7,)]
    assert sorted(done) == [i for i in range(12) if i not in (2, 7)]


def die(number):
    os._exit(1)


@pytest.mark.slow
def test_if_no_task_can_run_not_all_are_tried():
    with pytest.raises(WorkerLostError, match="2 tasks"):
        list(run_tasks(die, [(i,) for i in range(1000)], 1))


def test_tasks_are_taken_as_they_are_needed():
    taken = []

    def tasks():
        for i in range(100):
            taken.append(i)
            yield (i,)

    results = run_tasks(fail, ((i + 2,) for (i,) in tasks()), 2)
    next(results)
    assert len(taken) <= 4
    results.close()


def end(number):
    if number == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    if number == 2:
        os._exit(3)
    return number


def test_lost_tasks_and_how_their_worker_ended():
    done = []
    with pytest.raises(
        WorkerLostError, match=r"each try of 2 tasks \(SIGSEGV, exit code 3\)"
    ) as told:
        done.extend(run_tasks(end, [(0,), (1,), (2,), (3,)], 1))
    lost = zip(told.value.tasks, told.value.reasons, strict=True)
    assert sorted(lost) == [((1,), "SIGSEGV"), ((2,), "exit code 3")]


def test_exit_code_that_another_thread_is_about_to_store():
    class Process:
        codes = iter([None, None, 3])

        @property
        def exitcode(self):
            return next(self.codes)

    worker = _Worker()
    worker._process = Process()
    assert worker.exit_reason() == "exit code 3"
    worker.shutdown()
