import io

import numpy as np
import pytest
import trimesh
from rich.console import Console

from lpbf import HexMesh, PartError, Process, Supports, simulate
from lpbf.core.heat import Heat
from lpbf.simulate import build_progress, estimate
from lpbf.simulate.__main__ import main
from lpbf.simulate.build_progress import BuildProgress
from lpbf.simulate.estimate import Estimate, check_memory, estimate_build

BLOCK = HexMesh.from_mask(np.ones((8, 8, 6)), 1.0)
LAYERS = Process(layer_height=2.0)


def test_the_steps_are_those_of_the_simulation():
    process = Process(layer_height=2.0, release=[{"box": [[-1, -1, 0], [4, 9, 0]]}, {"below": 0}])
    steps = []
    simulate(BLOCK, process, on_step=lambda *step: steps.append(step))
    found = estimate_build(BLOCK, process)
    assert len(found.steps) == len(steps) == steps[-1][0] == steps[0][1] == 5
    shares = [found.done(number) for number in range(6)]
    assert shares[0] == 0.0
    assert shares[-1] == pytest.approx(1.0)
    assert (np.diff(shares) > 0).all()
    assert estimate_build(BLOCK, Process(layer_height=2.0, heat=Heat())).done(0) > 0


def test_more_work_and_more_memory():
    base = estimate_build(BLOCK, LAYERS)
    assert base.num_cells == 8 * 8 * 6
    # The active cells of the three layers, and the layers themselves.
    cells = 128 + 256 + 384
    assert base.seconds == pytest.approx(3 * estimate._LAYER + cells * estimate._CELL)
    for more in ({"heat": Heat()}, {"release": True}, {"plasticity": True}):
        other = estimate_build(BLOCK, Process(layer_height=2.0, **more))
        assert other.seconds > base.seconds
        assert other.memory >= base.memory
    history = estimate_build(BLOCK, LAYERS, history=True)
    assert history.memory - base.memory == pytest.approx(estimate._STATE * cells)
    table = np.zeros((6, 6, 6), bool)
    table[:2, :, :] = table[:, :, 4:] = True
    supported = Process(layer_height=2.0, supports=Supports())
    mesh = HexMesh.from_mask(table, 1.0)
    assert estimate_build(mesh, supported).num_cells > table.sum()


def test_a_build_that_the_memory_does_not_hold(monkeypatch, tmp_path, capsys):
    large = Estimate(0.0, np.ones(3), memory=8e9 + 20e6, num_cells=1_000_000)
    monkeypatch.setattr(estimate, "free_memory", lambda: int(1e9 + 20e6))
    # Twice the edges hold an eighth of the voxels.
    message = (
        r"part: the build of 1,000,000 voxels needs about 8.02 GB of memory \(got 1.02 GB free\); "
        r"a pitch of 2 mm would fit"
    )
    with pytest.raises(PartError, match=message):
        check_memory(large, BLOCK, lambda pitch: (pitch, pitch, pitch), "part")
    monkeypatch.setattr(estimate, "free_memory", lambda: 1000)
    with pytest.raises(PartError, match="use a machine with more memory"):
        check_memory(large, BLOCK, lambda pitch: (pitch, pitch, pitch), "part")
    trimesh.creation.box((12.0, 4.0, 6.0)).export(tmp_path / "a.stl")
    assert main([str(tmp_path / "a.stl"), "--out", str(tmp_path / "a.vtu"), "--pitch", "2"]) == 2
    assert "a.stl: the build of 180 voxels needs about 0.0" in capsys.readouterr().err
    monkeypatch.setattr(estimate, "free_memory", lambda: int(9e9))
    check_memory(large, BLOCK, lambda pitch: (pitch, pitch, pitch), "part")


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_with_the_time_left(monkeypatch, terminal):
    clock = [100.0]
    monkeypatch.setattr(build_progress.time, "monotonic", lambda: clock[0])
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
    work = Estimate(0.0, np.array([1.0, 2.0, 3.0, 4.0]), memory=0.0, num_cells=1)
    with BuildProgress(work, console) as progress:
        for number in range(1, 5):
            clock[0] += 6.0 * number
            progress(number, 4, f"layer {number - 1}")
    said = console.file.getvalue()
    if terminal:
        assert "layer 3 of 4" in said
    else:  # 18 s for three tenths of the work, 36 s for six, 60 s for all
        assert said.splitlines() == [
            "layer 1 of 4: 30%, 0:00:42 h left",
            "layer 2 of 4: 60%, 0:00:24 h left",
            "layer 3 of 4: 100%, 0:00:00 h left",
        ]
