import psutil
import pytest

from flare_mesh.io.memory_limit import memory_limit


def group(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "4096\n"}, 4096),
        (
            {
                "proc/self/cgroup": "0::/job/step\n",
                "sys/fs/cgroup/job/step/memory.max": "max\n",
                "sys/fs/cgroup/job/memory.max": "8192\n",
            },
            8192,
        ),
        (  # the group of the container's host is not mounted in it
            {"proc/self/cgroup": "0::/../outside\n", "sys/fs/cgroup/memory.max": "512\n"},
            512,
        ),
        (  # version 1
            {
                "proc/self/cgroup": "12:cpuset:/\n5:cpu,memory:/job\n1:name=systemd:/\n",
                "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "1024\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            1024,
        ),
    ],
)
def test_the_smallest_limit(tmp_path, files, expected):
    group(tmp_path, files)
    assert memory_limit(tmp_path) == (expected or psutil.virtual_memory().total)


def test_this_machine():
    assert 2**20 < memory_limit() <= psutil.virtual_memory().total
