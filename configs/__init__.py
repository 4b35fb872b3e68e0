"""Configurations of training runs, by name; installed as ``flare_mesh.configs``."""

from collections.abc import Iterable
from pathlib import Path

from flare_mesh.choices import nearest

_FOLDER = Path(__file__).parent


def config_names() -> list[str]:
    """Names of the configurations that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def find_config(name: str, others: Iterable[str] = ()) -> Path:
    """Path of a configuration file.

    Args:
        name: Path of the file, or name of a configuration that comes with the package.
        others: Further names for the advice in the error.

    Raises:
        FileNotFoundError: If there is neither; names the nearest.
    """
    if Path(name).is_file():
        return Path(name)
    known = config_names()
    if name in known:
        return _FOLDER / f"{name}.yaml"
    raise FileNotFoundError(
        f"{name}: no such configuration; give a file or a name, {nearest(name, [*known, *others])}"
    )
