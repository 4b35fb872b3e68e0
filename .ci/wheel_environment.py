"""Make a virtual environment with the wheel and the packages that it requires, and no others.

    .venv/bin/python .ci/wheel_environment.py FOLDER WHEEL

The packages are links to those of this Python's environment, so that nothing is downloaded and
installed twice. What only an extra needs is not linked.
"""

import subprocess
import sys
import venv
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def requirements_of(found: Distribution, extra: str) -> list[Requirement]:
    """Requirements of a distribution, without an extra (an empty name) or of that extra."""
    every = map(Requirement, found.requires or ())
    return [one for one in every if one.marker is None or one.marker.evaluate({"extra": extra})]


def required(found: Distribution) -> dict[str, Distribution]:
    """Installed distributions that a distribution requires, directly or not, by name."""
    known: dict[str, Distribution] = {}
    done: set[tuple[str, str]] = set()
    queue = requirements_of(found, "")
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        known[name] = installed = distribution(name)
        assert requirement.specifier.contains(installed.version, prereleases=True), requirement
        for extra in ("", *requirement.extras):
            if (name, extra) not in done:
                done.add((name, extra))
                queue += requirements_of(installed, extra)
    return known


def link(found: Distribution, folder: Path) -> None:
    """Link the packages of a distribution into a folder; folders that are shared are made."""
    for file in found.files or ():
        source, depth = Path(str(found.locate_file(file.parts[0]))), 1
        if file.parts[0] == "..":  # commands and headers
            continue
        if source.is_dir() and len(file.parts) > 1 and not (source / "__init__.py").is_file():
            source, depth = source / file.parts[1], 2
        target = folder.joinpath(*file.parts[:depth])
        target.parent.mkdir(exist_ok=True)
        if not target.exists():
            target.symlink_to(source)


if __name__ == "__main__":
    environment, wheel = Path(sys.argv[1]), sys.argv[2]
    venv.create(environment, symlinks=True)
    python = str(environment / "bin/python")
    install = ["-m", "pip", "--python", python, "install", "-q", "--no-deps", wheel]
    subprocess.run([sys.executable, *install], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (own,) = distributions(path=[str(site)])
    packages = required(own)
    for package in packages.values():
        link(package, site)
    print(f"{own.name} {own.version} with {len(packages)} packages that it requires")
