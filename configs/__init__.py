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

    A name without a suffix is the package's, also where the working folder has a file of the name.

    Args:
        name: Path of the file, or name of a configuration that comes with the package.
        others: Further names for the advice in the error.

    Raises:
        FileNotFoundError: If there is neither; names the nearest.
    """
    known = config_names()
    if name in known:
        return _FOLDER / f"{name}.yaml"
    if Path(name).is_file():
        return Path(name)
    if Path(name).is_dir():
        raise FileNotFoundError(
            f"{name}: a folder, and no configuration; write one for its files by: flare-mesh init "
            f"{name} --targets FIELDS"
        )
    raise FileNotFoundError(
        f"{name}: no such configuration; give a file or a name, {nearest(name, [*known, *others])}"
    )
