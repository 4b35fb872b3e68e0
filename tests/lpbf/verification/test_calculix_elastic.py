"""Layered elastic builds against CalculiX's C3D8I and C3D8, with a static run per step."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lpbf import BasePlate, Material, Process, simulate
from lpbf.core.result import von_mises

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "lpbf_calculix.py"


CASES = {
    "elastic_modes": {},
    "elastic_plain": {"incompatible_modes": False},
    "elastic_plate": {"islands": "powder"},
}


@pytest.mark.parametrize("name", CASES)
def test_layered_build(reference, mean_at_nodes, name):
    """A table with a hole and an overhang; its anisotropic strain rotates by 67 degrees."""
    mesh, case = reference(name)
    names = ("thickness", "margin", "youngs_modulus")
    plate = {key: float(case[f"plate_{key}"]) for key in names if f"plate_{key}" in case}
    process = Process(
        Material("metal", float(case["youngs_modulus"]), float(case["poisson_ratio"])),
        layer_height=float(case["layer_height"]),
        inherent_strain=tuple(case["inherent_strain"].tolist()),
        scan_rotation=float(case["scan_rotation"]),
        base_plate=BasePlate(**plate) if plate else None,
        **CASES[name],
    )
    result = simulate(mesh, process)
    displacement = case["displacement"]
    scale = np.abs(displacement).max()
    assert scale > 0.01
    np.testing.assert_allclose(result.displacement, displacement, atol=1e-5 * scale)
    stress = mean_at_nodes(mesh, case["stress"])
    np.testing.assert_allclose(result.stress, stress, atol=1e-5 * np.abs(stress).max())
    np.testing.assert_allclose(result.von_mises, von_mises(stress), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ccx") is None, reason="needs CalculiX")
def test_stored_results_agree_with_calculix(tmp_path):
    subprocess.run([sys.executable, SCRIPT, "--out", tmp_path], check=True, capture_output=True)
    stored = Path(__file__).parent / "data"
    names = sorted(path.name for path in stored.glob("*.npz"))
    assert names == sorted(path.name for path in tmp_path.glob("*.npz"))
    for name in names:
        with np.load(stored / name) as old, np.load(tmp_path / name) as new:
            assert sorted(old.files) == sorted(new.files)
            for key in old.files:
                scale = float(np.abs(old[key].astype(float)).max())
                np.testing.assert_allclose(
                    new[key], old[key], atol=1e-5 * scale, err_msg=f"{name}: {key}"
                )
