"""The text file that lists an EnSight Gold result's files."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Variable:
    """A field.

    Attributes:
        name: Its description.
        kind: ``"scalar per node"``, ``"vector per element"`` and so on.
        files: Name of its file, ``*`` for the step's number.
        time_set: Number of its time set; None if it does not change.
    """

    name: str
    kind: str
    files: str
    time_set: int | None


@dataclass(frozen=True)
class EnsightCase:
    """What a ``.case`` file says.

    Attributes:
        path: The file.
        geometry: Name of the meshes' files, ``*`` for the step's number.
        variables: Its fields.
        num_steps: Steps of each time set by number, in the file's order.
    """

    path: Path
    geometry: str
    variables: tuple[Variable, ...]
    num_steps: dict[int, int]


_SECTIONS = ("FORMAT", "GEOMETRY", "VARIABLE", "TIME", "FILE", "MATERIAL", "SCRIPTS", "BLOCK")
_VARIABLE = re.compile(
    r"(?P<kind>(?:scalar|vector|tensor symm|tensor asym) per (?:node|element)):(?P<rest>.*)"
)


def read_ensight_case(path: str | Path) -> EnsightCase:
    """Reads and checks a ``.case`` file; VTK's reader does not survive damaged ones.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not EnSight Gold, or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; give the .case file of an EnSight result")
    sections = _sections(path)
    form = "".join(sections.get("FORMAT", [])).lower()
    if re.sub(r"\s", "", form) != "type:ensightgold":
        raise ValueError(f"{path}: expected 'type: ensight gold' (got '{form}'); export it anew")
    model = [line for line in sections.get("GEOMETRY", []) if line.startswith("model:")]
    if len(model) != 1:
        raise ValueError(f"{path}: expected one 'model:' line (got {len(model)}); export it anew")
    num_steps = _time_sets(path, sections.get("TIME", []))
    variables = tuple(_variables(sections.get("VARIABLE", [])))
    used = {v.files: v.time_set for v in variables}
    words = model[0].removeprefix("model:").removesuffix("change_coords_only").split()
    if not words:
        raise ValueError(f"{path}: names no geometry file; the file may be cut off, export it anew")
    numbers = [int(word) for word in words[:-1] if word.isdecimal()]
    used[words[-1]] = numbers[0] if numbers else None
    for files, time_set in used.items():
        if ("*" in files) and (time_set or min(num_steps, default=0)) not in num_steps:
            raise ValueError(
                f"{path}: '{files}' belongs to a time set that is not there (it has "
                f"{sorted(num_steps)}); the file may be cut off, export it anew"
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
    for line in lines:
        match = _VARIABLE.match(line)
        words = match["rest"].split() if match else []
        numbers = []
        while len(words) > 2 and words[0].isdecimal():  # time set, then file set
            numbers.append(int(words.pop(0)))
        if match and len(words) >= 2:
            name, files = " ".join(words[:-1]), words[-1]
            moving = numbers[0] if numbers else None
            variables.append(Variable(name, match["kind"], files, moving))
    return variables


def _time_sets(path: Path, lines: list[str]) -> dict[int, int]:
    """Steps of each time set; as many values as steps, or the file is damaged."""
    steps: dict[int, int] = {}
    counts: dict[int, int] = {}
    current, listing = 0, False
    for line in lines:
        key, found, rest = line.partition(":")
        words = (rest if found else line).split()
        try:
            if key == "time set":
                current = int(words[0])
                steps[current] = counts[current] = 0
            elif key == "number of steps":
                steps[current] = int(words[0])
            elif key == "time values" or (listing and not found):
                counts[current] += sum(1 for word in words if float(word) == float(word))
            listing = key == "time values" or (listing and not found)
        except (ValueError, LookupError) as error:
            raise ValueError(f"{path}: damaged at '{line}'; export it anew") from error
    for number, count in steps.items():
        if count < 1 or counts[number] != count:
            raise ValueError(
                f"{path}: time set {number} has {counts[number]} time values for {count} steps; "
                f"the file may be cut off, export it anew"
            )
    return steps
