import os
import pickle
import resource

import pytest
import torch

from flare_mesh.surrogate.checkpoint import read_checkpoint
from flare_mesh.training.checkpoint_io import AtomicCheckpointIO

STATE = {"state_dict": {"a": torch.arange(24.0)}, "epoch": 3, "names": ["x", None, 1.5]}


@pytest.fixture
def path(tmp_path):
    AtomicCheckpointIO().save_checkpoint(STATE, tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


def same(found):
    return (
        found.keys() == STATE.keys()
        and torch.equal(found["state_dict"]["a"], STATE["state_dict"]["a"])
        and found["names"] == STATE["names"]
    )


def test_round_trip(path):
    assert same(read_checkpoint(path))
    assert same(AtomicCheckpointIO().load_checkpoint(str(path)))
    assert os.listdir(path.parent) == ["last.ckpt"]


def test_every_truncation_is_noticed(path):
    content = path.read_bytes()
    for stop in (*range(0, len(content), 13), len(content) - 1):
        path.write_bytes(content[:stop])
        with pytest.raises(ValueError, match="last.ckpt: damaged, or not a checkpoint"):
            read_checkpoint(path)


def test_any_damaged_byte_is_noticed_or_harmless(path):
    content, seen = path.read_bytes(), 0
    for place in range(0, len(content), 3):
        flipped = bytes([content[place] ^ 0xFF >> place % 8])
        path.write_bytes(content[:place] + flipped + content[place + 1 :])
        try:
            assert same(read_checkpoint(path)), place
        except ValueError:
            seen += 1
    assert seen > len(content) // 20


class Hostile:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_no_code_is_run_from_a_file(path, tmp_path):
    target = tmp_path / "run"
    torch.save({**STATE, "hostile": Hostile(target)}, path)
    with pytest.raises(ValueError, match=r"last.ckpt: damaged, or not .*mkdir") as found:
        read_checkpoint(path)
    assert "weights_only" not in str(found.value)
    path.write_bytes(pickle.dumps({**STATE, "hostile": Hostile(target)}))
    with pytest.raises(ValueError, match=r"last.ckpt: damaged, or not"):
        read_checkpoint(path)
    assert not target.exists()


def test_not_a_checkpoint(path, tmp_path):
    for other in ({"a": 1}, [STATE], torch.ones(2)):
        torch.save(other, path)
        with pytest.raises(ValueError, match="last.ckpt: not a checkpoint of flare-mesh; give one"):
            read_checkpoint(path)
    for missing in (tmp_path, tmp_path / "none.ckpt"):
        with pytest.raises(FileNotFoundError, match="no such checkpoint"):
            read_checkpoint(missing)


def test_a_full_disk_leaves_the_old_checkpoint(path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match="last.ckpt: cannot be written"):
            AtomicCheckpointIO().save_checkpoint({"state_dict": {"a": torch.ones(10_000)}}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(path.parent) == ["last.ckpt"]
    assert same(read_checkpoint(path))
