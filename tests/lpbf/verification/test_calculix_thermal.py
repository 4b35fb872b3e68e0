"""A plastic build with thermal strain against CalculiX, with properties over temperature.

Each layer has one temperature in each stage, so that the temperatures of both are the same.
"""

import numpy as np
import torch

from lpbf import Material, Process
from lpbf.core.table import Table
from lpbf.heat.simulate_heat import HeatResult, HeatStage
from lpbf.mechanics.build import make_build
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.mechanics.plastic_stepper import PlasticStepper
from lpbf.mechanics.thermal_steps import thermal_steps
from lpbf.simulate.run_steps import run_steps

TABLES = ("youngs_modulus", "yield_stress", "hardening_modulus", "thermal_expansion")


def test_a_build_of_four_layers_in_nine_stages(reference):
    mesh, case = reference("thermal_build")
    tables = {name: Table(*case[name].tolist()) for name in TABLES}
    material = Material(
        "metal", tables.pop("youngs_modulus"), float(case["poisson_ratio"]), **tables
    )
    build = make_build(mesh, Process(material, layer_height=float(case["layer_height"])))
    stages = []
    for layer, own in zip(case["stage_layers"].tolist(), case["stages"], strict=True):
        temperature = torch.from_numpy(own[build.cell_layer[build.cell_layer <= layer]]).double()
        nowhere = torch.zeros(len(temperature), dtype=torch.bool)
        stages.append(HeatStage(layer, 0.0, temperature, nowhere, 25.0, True, False))
    nothing, deposition = torch.zeros(0), float(case["deposition"])
    heat = HeatResult(nothing, (), nothing, (), 25.0, (), 25.0, deposition, tuple(stages))
    steps = list(thermal_steps(build, heat, material, ambient=25.0, device="cpu"))[:-1]
    stepper = PlasticStepper(build, material, tolerance=1e-8)
    equilibrium = Equilibrium(build, tolerance=1e-9)
    displacement = run_steps(build, steps, stepper, equilibrium).displacement.numpy()

    assert 0.5 < (case["plastic_strain"] > 0).mean() < 0.9
    for field, found in (
        ("displacement", displacement),
        ("stress", stepper.cell_stress().numpy()),
        ("plastic_strain", stepper.equivalent_plastic_strain().numpy()),
    ):
        scale = np.abs(case[field]).max()
        np.testing.assert_allclose(found, case[field], atol=1e-5 * scale, err_msg=field)
