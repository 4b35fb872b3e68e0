"""Configurations of training runs, by name; installed as ``flare_mesh.configs``."""

from pathlib import Path

_FOLDER = Path(__file__).parent


def config_names() -> list[str]:
    """Names of the configurations that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def config_path(name: str) -> Path:
    """File of a configuration by its name."""
    return _FOLDER / f"{name}.yaml"
