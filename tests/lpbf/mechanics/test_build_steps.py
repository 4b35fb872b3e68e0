from dataclasses import replace

import numpy as np
import pytest
import torch

from lpbf import HexMesh, Material, Process
from lpbf.core.base_plate import BasePlate
from lpbf.heat.simulate_heat import HeatResult
from lpbf.mechanics.build import make_build
from lpbf.mechanics.build_steps import build_steps
from lpbf.mechanics.thermal_expansion import ThermalExpansion

ALPHA = 1e-5
EXPANSION = ThermalExpansion(Material("metal", 1e5, 0.3, thermal_expansion=ALPHA))


@pytest.fixture
def build(steel):
    """A column and an unsupported voxel in powder, on a plate."""
    mask = np.zeros((3, 1, 4), dtype=bool)
    mask[0] = True
    mask[2, :, 3] = True
    mesh = HexMesh.from_mask(mask, 1.0)
    plate = BasePlate(thickness=1.0, margin=0.0)
    process = Process(
        material=steel,
        layer_height=2.0,
        inherent_strain=(-0.004, -0.001, -0.002),
        scan_rotation=90.0,
        islands="powder",
        base_plate=plate,
    )
    return make_build(mesh, process)


def heat_of(*after, end):
    layers = tuple(torch.tensor(values, dtype=torch.float64) for values in after)
    return HeatResult(
        temperature=torch.tensor(end, dtype=torch.float64),
        after_layer=layers,
        interlayer=torch.zeros(2),
        steps=(),
        plate_temperature=80.0,
        plate_after_layer=(80.0, 80.0),
        preheat=80.0,
        deposition_temperature=1500.0,
    )


HEAT = heat_of([500.0, 600.0], [300.0, 350.0, 700.0, 800.0, 850.0], end=[20.0, 30, 40, 50, 60])


def test_a_plate_of_changing_temperature(build):
    """Strains are relative to the plate, which moves everything with it."""
    heat = replace(HEAT, plate_after_layer=(100.0, 130.0), plate_temperature=130.0)
    steps = list(build_steps(build, heat, expansion=EXPANSION, ambient=25.0, device="cpu"))
    plain = list(build_steps(build, HEAT, expansion=EXPANSION, ambient=25.0, device="cpu"))
    part = torch.from_numpy(build.is_part)
    together = [ALPHA * 20, ALPHA * 30, -ALPHA * 105]
    assert [step.stress_free_strain for step in steps] == pytest.approx(together)
    for step, other, relative in zip(steps, plain, (-20.0, -30.0, 50.0), strict=True):
        own = part[: len(step.eigenstrain)]
        change = step.eigenstrain - other.eigenstrain
        assert (change[~own] == 0).all()
        expected = ALPHA * relative * torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64)
        torch.testing.assert_close(change[own], expected.expand(int(own.sum()), 6))
    assert set(steps[1].temperature[~part].tolist()) == {130.0}
    assert set(steps[2].temperature.tolist()) == {130.0}


def test_layers_without_heat(build):
    steps = list(build_steps(build, None, expansion=None, ambient=25.0, device="cpu"))
    assert [step.name for step in steps] == ["layer 0", "layer 1"]
    assert [step.layer for step in steps] == [0, 1]
    for step, rotated in zip(steps, [[-4, -1, -2, 0, 0, 0], [-1, -4, -2, 0, 0, 0]], strict=True):
        cells = build.layer_cells(step.layer)
        assert step.eigenstrain.shape == (cells.stop, 6)
        assert (step.eigenstrain[: cells.start] == 0).all()
        part = torch.from_numpy(build.is_part[cells])
        own = step.eigenstrain[cells]
        expected = torch.tensor(rotated, dtype=torch.float64) * 1e-3
        torch.testing.assert_close(own[part], expected.expand(int(part.sum()), 6))
        assert (own[~part] == 0).all()
        assert step.temperature is None
        assert step.in_equilibrium


def test_temperatures_of_the_part_cells(build):
    steps = list(build_steps(build, HEAT, expansion=None, ambient=25.0, device="cpu"))
    assert [step.layer for step in steps] == [0, 1]
    plain = build_steps(build, None, expansion=None, ambient=25.0, device="cpu")
    for step, after, other in zip(steps, HEAT.after_layer, plain, strict=True):
        part = build.is_part[: len(step.temperature)]
        assert step.temperature[part].tolist() == after.tolist()
        assert torch.equal(step.eigenstrain, other.eigenstrain)


def test_thermal_strains_follow_the_temperature_changes(build):
    """The inherent strain includes the cooling of a new layer, but no later changes."""
    steps = list(build_steps(build, HEAT, expansion=EXPANSION, ambient=25.0, device="cpu"))
    plain = list(build_steps(build, None, expansion=None, ambient=25.0, device="cpu"))
    assert [(step.layer, step.name) for step in steps[-1:]] == [(None, "cooling")]
    assert torch.equal(steps[0].eigenstrain, plain[0].eigenstrain)

    part = torch.from_numpy(build.is_part)
    unit = torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64)
    change = (steps[1].eigenstrain - plain[1].eigenstrain)[part]
    expected = ALPHA * torch.tensor([300.0 - 500, 350 - 600, 0, 0, 0]).double()
    torch.testing.assert_close(change, expected[:, None] * unit)
    expected = ALPHA * (80 - torch.tensor([300.0, 350, 700, 800, 850]).double())
    torch.testing.assert_close(steps[2].eigenstrain[part], expected[:, None] * unit)
    for step in steps:
        assert (step.eigenstrain[~part[: len(step.eigenstrain)]] == 0).all()
    assert steps[2].temperature[part].tolist() == [80] * 5
    # Sum: from the end of each cell's first dwell to the temperature of the plate.
    total = sum(torch.nn.functional.pad(s.eigenstrain, (0, 0, 0, len(part) - len(s.eigenstrain)))
                for s in steps) - torch.from_numpy(build.cell_strain)  # fmt: skip
    change = 80 - torch.tensor([500.0, 600, 700, 800, 850]).double()
    torch.testing.assert_close(total[part], ALPHA * change[:, None] * unit)
    # From there to the ambient temperature together with the plate.
    strains = [step.stress_free_strain for step in steps]
    assert strains == pytest.approx([0.0, 0.0, ALPHA * (25.0 - 80.0)])
