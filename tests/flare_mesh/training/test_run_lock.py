import os
import signal
import socket
import subprocess
import sys

import pytest

from flare_mesh.training.run_lock import is_first_process, run_lock

HOLD = """
import sys
from pathlib import Path
from flare_mesh.training.run_lock import run_lock

with run_lock(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that trains in the folder ``run``, as far as the lock is concerned."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"locked\n"
    yield process
    process.kill()
    process.communicate()


def enter(folder):
    with run_lock(folder):
        pass


def test_the_second_is_refused_until_the_first_is_killed(tmp_path, holder):
    name = f"process {holder.pid} on {socket.gethostname()}"
    with pytest.raises(ValueError, match=f"run: {name} is training in this folder; wait"):
        enter(tmp_path / "run")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    enter(tmp_path / "run")


def test_nothing_is_left(tmp_path):
    (tmp_path / "kept").mkdir()
    enter(tmp_path / "kept")
    enter(tmp_path / "new" / "run")
    with run_lock(tmp_path / "used"):
        (tmp_path / "used" / "config.yaml").touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["config.yaml", "kept", "used"]


def test_a_deleted_and_reused_folder_stays_locked(tmp_path, holder):
    """The first process does not remove the lock of the second one."""
    run = tmp_path / "run"
    for path in run.iterdir():
        path.unlink()
    run.rmdir()
    with run_lock(run):
        holder.communicate()
        assert sorted(path.name for path in run.iterdir()) == [".fit.lock", ".fit.owner"]


def test_a_file_system_without_locks_is_a_warning(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with pytest.warns(UserWarning, match="run: its file system has no locks"):
        enter(tmp_path / "run")


@pytest.mark.parametrize(
    ("variables", "first"),
    [({}, True), ({"NODE_RANK": "1"}, False), ({"NODE_RANK": "0", "GROUP_RANK": "1"}, True)],
)
def test_only_the_first_process_takes_the_lock(monkeypatch, variables, first):
    for name in ("NODE_RANK", "GROUP_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setitem(os.environ, name, value)
    assert is_first_process() == first
