"""Case file of an EnSight Gold result."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Variable:
    """A field.

    Attributes:
        name: Description.
        kind: ``"scalar per node"``, ``"vector per element"`` and so on.
        files: File name, with ``*`` for the number of the step.
        time_set: Number of the time set; None for a constant field.
    """

    name: str
    kind: str
    files: str
    time_set: int | None


@dataclass(frozen=True)
class EnsightCase:
    """Contents of a ``.case`` file.

    Attributes:
        path: The file.
        geometry: File name of the meshes, with ``*`` for the number of the step.
        variables: The fields.
        num_steps: Number of steps of each time set by its number, in the order of the file.
    """

    path: Path
    geometry: str
    variables: tuple[Variable, ...]
    num_steps: dict[int, int]


_SECTIONS = ("FORMAT", "GEOMETRY", "VARIABLE", "TIME", "FILE", "MATERIAL", "SCRIPTS", "BLOCK")
# Kind, optional numbers of the time set and the file set, description, and file name.
_VARIABLE = re.compile(
    r"(?P<kind>(?:scalar|vector|tensor symm|tensor asym) per (?:node|element)):\s*"
    r"(?:(?P<time_set>\d+)\s+)?(?:\d+\s+)*(?P<name>\S.*?)\s+(?P<files>\S+)"
)


def read_ensight_case(path: str | Path) -> EnsightCase:
    """Read and check a ``.case`` file; a damaged one crashes VTK's reader.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or not EnSight Gold.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; give the .case file of an EnSight result")
    sections = _sections(path)
    form = "".join(sections.get("FORMAT", [])).lower()
    if re.sub(r"\s", "", form) != "type:ensightgold":
        raise ValueError(f"{path}: expected 'type: ensight gold' (got '{form}'); export it again")
    model = [line for line in sections.get("GEOMETRY", []) if line.startswith("model:")]
    if len(model) != 1:
        raise ValueError(f"{path}: expected one 'model:' line (got {len(model)}); export it again")
    num_steps = _time_sets(path, sections.get("TIME", []))
    variables = tuple(_variables(sections.get("VARIABLE", [])))
    used = {v.files: v.time_set for v in variables}
    words = model[0].removeprefix("model:").removesuffix("change_coords_only").split()
    if not words:
        raise ValueError(f"{path}: expected a geometry file (got none); export it again")
    numbers = [int(word) for word in words[:-1] if word.isdecimal()]
    used[words[-1]] = numbers[0] if numbers else None
    for files, time_set in used.items():
        if ("*" in files) and (time_set or min(num_steps, default=0)) not in num_steps:
            raise ValueError(
                f"{path}: the time set of '{files}' is missing (the file has "
                f"{sorted(num_steps)}); export it again"
            )
    return EnsightCase(path, words[-1], variables, num_steps)


def _sections(path: Path) -> dict[str, list[str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected a text file ({error})") from error
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for raw in text.splitlines():
        line = raw.split("#")[0].strip()
        if line.upper() in _SECTIONS:
            current = sections.setdefault(line.upper(), [])
        elif line:
            current.append(line)
    return sections


def _variables(lines: list[str]) -> list[Variable]:
    variables = []
    for match in filter(None, map(_VARIABLE.fullmatch, lines)):
        time_set = None if match["time_set"] is None else int(match["time_set"])
        name = " ".join(match["name"].split())
        variables.append(Variable(name, match["kind"], match["files"], time_set))
    return variables


def _time_sets(path: Path, lines: list[str]) -> dict[int, int]:
    """Number of steps of each time set, if it has as many time values."""
    steps: dict[int, int] = {}
    counts: dict[int, int] = {}
    current, listing = 0, False
    for line in lines:
        key, found, rest = line.partition(":")
        words = (rest if found else line).split()
        listing = key == "time values" or (listing and not found)
        try:
            if key == "time set":
                current = int(words[0])
                steps[current] = counts[current] = 0
            elif key == "number of steps":
                steps[current] = int(words[0])
            elif listing:
                counts[current] += sum(1 for word in words if float(word) == float(word))
        except (ValueError, LookupError) as error:
            raise ValueError(f"{path}: damaged at '{line}'; export it again") from error
    for number, count in steps.items():
        if count < 1 or counts[number] != count:
            raise ValueError(
                f"{path}: expected {count} time values of time set {number} (got "
                f"{counts[number]}); export it again"
            )
    return steps
