"""The optional package scikit-fem."""

from importlib.util import find_spec


def check_scikit_fem(name: str) -> None:
    """Refuse to generate a data set without the package that solves it.

    Raises:
        ValueError: If scikit-fem is not installed.
    """
    if find_spec("skfem") is None:
        raise ValueError(
            f"the {name} set needs scikit-fem; install it with `pip install 'flare-mesh[generate]'`"
        )
