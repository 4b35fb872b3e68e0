import numpy as np
import pytest

from lpbf import MACHINES, HexMesh, Machine, Process, simulate
from lpbf.simulate.summary import summarize, summary_text


def test_time_of_a_build():
    mask, supports = np.zeros((4, 2, 5), dtype=bool), np.zeros((4, 2, 5), dtype=bool)
    mask[:2, :, :4], supports[2:, :, :4] = True, True
    mesh = HexMesh.from_mask(mask, (1.0, 2.0, 0.5), supports=supports)
    machine = Machine(1000.0, 0.1, 0.03, 9.0, lasers=2)
    # 16 mm3 of the part, a quarter of 16 mm3 of supports, 2 mm in 67 layers.
    assert machine.build_time(mesh, 0.25) == pytest.approx(20 / (1000 * 0.1 * 0.03 * 2) + 67 * 9)
    whole = Machine(1000.0, 0.1, 0.05, 9.0)
    assert whole.build_time(HexMesh.from_mask(mask, 1.0)) == pytest.approx(16 / 5 + 80 * 9)


def test_only_with_a_machine():
    mesh = HexMesh.from_mask(np.ones((2, 2, 2)), 1.0)
    assert simulate(mesh).build_time is None
    assert "build_time_h" not in summarize(simulate(mesh))
    result = simulate(mesh, Process(machine="316L"))
    assert result.build_time == pytest.approx(8 / (1083 * 0.09 * 0.02) + 100 * 10)
    assert "at least 0.279 h" in summary_text(summarize(result))


def test_in_a_process(tmp_path):
    process = Process(machine=Machine(1000.0, 0.1, 0.03, 9.0))
    process.to_yaml(tmp_path / "p.yaml")
    assert Process.from_yaml(tmp_path / "p.yaml") == process
    assert Process.from_dict({"machine": "IN718"}).machine == MACHINES["IN718"]
    with pytest.raises(ValueError, match="unknown machine 'M400'; choose from"):
        Process(machine="M400")
    with pytest.raises(ValueError, match=r"Machine: expected 0 < hatch <= 2 mm \(got 100.0\)"):
        Machine(1000.0, 100.0, 0.03, 9.0)
    with pytest.raises(ValueError, match="expected machine as a Machine or None"):
        Process(machine=3)
