import json
import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from flare_mesh.io import reader_process
from flare_mesh.io.reader_process import read_in_child, reason_of

pyvista = pytest.importorskip("pyvista")


@pytest.fixture
def files(tmp_path):
    """Meshes that can be identified by their number of points."""
    paths = []
    for size in range(2, 6):
        paths.append(tmp_path / f"{size}.vti")
        pyvista.ImageData(dimensions=(size, 1, 1)).save(paths[-1])
    return paths


def sizes(paths):
    return [len(read_in_child("vtk", path)["points"]) for path in paths]


def test_interrupt_between_request_and_answer(files, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    read_in_child("vtk", files[0])
    monkeypatch.setattr(reader_process, "_take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read_in_child("vtk", files[0])
    monkeypatch.undo()
    assert sizes(files[1:]) == [3, 4, 5]


@pytest.mark.slow
def test_answer_to_another_request(files):
    read_in_child("vtk", files[0])
    child = reader_process._running()
    request = {"number": 10**6, "reader": "vtk", "path": str(files[0]), "options": {}}
    text = json.dumps(request).encode()
    child.stdin.write(reader_process._SIZE.pack(len(text)) + text)
    with pytest.raises(ValueError, match="crash"):
        read_in_child("vtk", files[1])
    assert sizes(files) == [2, 3, 4, 5]


def test_threads(files):
    start = threading.Barrier(4)

    def work(path):
        start.wait()
        return sizes([path] * 10)

    with ThreadPoolExecutor(4) as pool:
        assert [set(found) for found in pool.map(work, files)] == [{2}, {3}, {4}, {5}]


def test_newline_in_a_name(files, tmp_path):
    odd = tmp_path / f"a\n{files[0]}"
    odd.parent.mkdir(parents=True)
    files[1].rename(odd)
    assert sizes([odd, files[2]]) == [3, 4]


@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
def test_forked_process(files):
    """It has its own child, even if the parent was reading when it was forked."""
    read_in_child("vtk", files[0])
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with reader_process._lock:
        worker = context.Process(target=lambda: queue.put(sizes(files)))
        worker.start()
        assert queue.get(timeout=60) == [2, 3, 4, 5]
        worker.join()
    assert sizes(files) == [2, 3, 4, 5]


def test_reason(tmp_path):
    error = RuntimeError(
        "ERROR: In vtkDataReader.cxx, line 746\nvtkDataReader (0x5581): Unrecognized type"
    )
    assert reason_of(error) == "Unrecognized type"
    assert reason_of(MemoryError()) == "MemoryError"
    path = tmp_path / "a.vtk"
    path.write_text("nonsense")
    with pytest.raises(ValueError) as told:
        read_in_child("vtk", path)
    assert ".cxx" not in str(told.value)
    assert len(str(told.value)) > 10


def signalled(number):
    """An exchange before which the child gets a signal."""
    exchange = reader_process._exchange

    def exchanged(child, *arguments):
        os.kill(child.pid, number)
        return exchange(child, *arguments)

    return exchanged


@pytest.mark.parametrize(
    ("number", "options", "message"),
    [
        (signal.SIGSEGV, {}, r"its reader crashed \(SIGSEGV\); the file is damaged or cannot"),
        (signal.SIGKILL, {}, r"its reader crashed \(SIGKILL, perhaps out of memory\)"),
        (signal.SIGSTOP, {"seconds": 0.2}, "its reader was not done after 0.2 s"),
    ],
)
def test_a_child_that_ends_or_hangs(files, monkeypatch, number, options, message):
    read_in_child("vtk", files[0])
    with monkeypatch.context() as patch:
        patch.setattr(reader_process, "_exchange", signalled(number))
        with pytest.raises(ValueError, match=message):
            read_in_child("vtk", files[0], **options)
    assert sizes(files) == [2, 3, 4, 5]


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is read from /proc")
def test_memory_limit(tmp_path):
    path = tmp_path / "large.stl"
    with path.open("wb") as file:
        file.write(bytes(80) + (10**6).to_bytes(4, "little"))
        file.truncate(84 + 50 * 10**6)
    with pytest.raises(ValueError, match="its reader needs more than 0.00977 GiB of memory"):
        read_in_child("surface", path, max_memory=10 << 20)
    assert len(read_in_child("surface", path, max_memory=1 << 30)["triangles"]) == 10**6
