import warnings
from dataclasses import replace

import numpy as np
import pytest

from lpbf import HexMesh, PartWarning, Process
from lpbf.core.strain_source import StrainSource
from lpbf.simulate.calibration_range import check_strain_source

STRAIN = (-0.003, -0.003, -0.003)
SOURCE = StrainSource(
    measurement="m.yaml",
    sha256=None,
    num_values=3,
    inherent_strain=STRAIN,
    intervals=(None, None, None),
    material="316L",
    plasticity=False,
    pitch=(1.0, 1.0, 0.5),
    layer_height=1.0,
)
PROCESS = Process("316L", inherent_strain=STRAIN, layer_height=1.0, strain_source=SOURCE)
MESH = HexMesh.from_mask(np.ones((1, 1, 4)), (1.0, 1.0, 0.5))


def test_no_warning_for_the_model_of_the_calibration():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_strain_source(PROCESS, MESH)
        check_strain_source(Process(), HexMesh.from_mask(np.ones((1, 1, 1)), 3.0))


@pytest.mark.parametrize(
    ("changes", "spacing", "message"),
    [
        ({}, (1.0, 1.0, 1.0), r"voxels of 1 x 1 x 0.5 mm \(not 1 x 1 x 1 mm\); it depends"),
        ({"layer_height": 0.5}, (1.0, 1.0, 0.5), r"layers of 1 mm \(not 0.5 mm\)"),
        ({"plasticity": True}, (1.0, 1.0, 0.5), "calibrated with an elastic material"),
        ({"material": "IN718"}, (1.0, 1.0, 0.5), r"calibrated with 316L \(not IN718\)"),
    ],
)
def test_another_model(changes, spacing, message):
    mesh = HexMesh.from_mask(np.ones((1, 1, 4)), spacing)
    with pytest.warns(PartWarning, match=message):
        check_strain_source(replace(PROCESS, **changes), mesh)
