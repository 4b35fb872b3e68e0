import sys
from types import SimpleNamespace

import pytest
import torch

from flare_mesh.devices import find_device, is_out_of_memory, peak_memory


def test_devices_by_name(monkeypatch):
    assert find_device("cpu") == find_device(torch.device("cpu")) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match="'cuda' needs CUDA, which this machine or this build"):
        find_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert find_device("auto") == torch.device("cuda")
    assert find_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ValueError, match="there is no 'cuda:2'; this machine has 2 CUDA devices"):
        find_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "meta", "", "cuda:x"])
def test_other_names(name):
    with pytest.raises(ValueError, match=f"expected 'cpu', 'cuda' or 'auto' .got '{name}'."):
        find_device(name)


def test_peak_memory_of_this_process(monkeypatch):
    block = bytearray(64 << 20)
    before = peak_memory()
    block[:] = b"x" * len(block)
    assert 64e6 < before <= peak_memory(torch.device("cpu")) < 1e12
    # Windows has no module `resource`; psutil says there what the system knows.
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setitem(sys.modules, "resource", None)
    process = SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=123))
    monkeypatch.setitem(sys.modules, "psutil", SimpleNamespace(Process=lambda: process))
    assert peak_memory() == 123


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("shapes do not match"), False),
    ],
)
def test_out_of_memory(error, expected):
    assert is_out_of_memory(error) is expected
