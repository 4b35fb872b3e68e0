import atexit
import os
from pathlib import Path

import pytest
import torch
from torch import distributed as dist

from flare_mesh.testing import run_processes


def catch(group):
    """An error in a reference cycle with the group."""
    try:
        raise RuntimeError
    except RuntimeError as error:
        caught = error
        return caught is not group


def compile_and_reduce(rank, world_size, folder):
    def write_names():
        names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
        (folder / f"{rank}.txt").write_text("\n".join(names))

    atexit.register(write_names)
    step = torch.compile(lambda x: 2 * x, backend="eager")  # imports torch.distributed.nn
    values = step(torch.ones(3))
    dist.all_reduce(values, group=dist.group.WORLD)
    assert values.tolist() == [2.0 * world_size] * 3
    assert catch(dist.group.WORLD)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs Linux's /proc")
def test_no_thread_of_the_group_outlives_it(tmp_path):
    """A gloo thread that outlives its group aborts the process at times (SIGABRT)."""
    run_processes(compile_and_reduce, 2, tmp_path)
    for rank in range(2):
        assert "gloo" not in (tmp_path / f"{rank}.txt").read_text()
