import pytest

from lpbf.core.material import Material
from lpbf.core.table import Table

ELASTIC = {"youngs_modulus": 100e3, "poisson_ratio": 0.3}


@pytest.fixture(scope="session")
def linear():
    """Constant properties, no latent heat: alpha = 5e-6 m^2/s."""
    return Material(
        "linear",
        **ELASTIC,
        density=4000.0,
        conductivity=10.0,
        specific_heat=500.0,
        solidus=1600.0,
        liquidus=1650.0,
        latent_heat=0.0,
    )


@pytest.fixture(scope="session")
def alloy():
    """Everything nonlinear, with jumps in c's slope and latent heat."""
    return Material(
        "alloy",
        **ELASTIC,
        density=4420.0,
        conductivity=Table((20.0, 500.0, 1600.0), (6.0, 12.0, 28.0)),
        specific_heat=Table((20.0, 900.0, 1000.0, 1700.0), (550.0, 700.0, 640.0, 800.0)),
        solidus=1604.0,
        liquidus=1650.0,
        latent_heat=286e3,
    )
