"""EnSight's case files, which name the files of a data set."""

import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from flare_mesh.io.external_references import resolve_below
from flare_mesh.io.mesh_file_warning import MeshFileWarning
from flare_mesh.io.text_numbers import NO_END
from flare_mesh.io.time_steps import choose_step

_WORD = re.compile(r'"[^"]*"|\'[^\']*\'|\S+')
_SECTIONS = ("FORMAT", "GEOMETRY", "VARIABLE", "TIME", "FILE", "MATERIAL", "SCRIPTS")
_IGNORED_SECTIONS = ("MATERIAL", "SCRIPTS")
_CHANNELS = {"scalar": 1, "vector": 3, "tensor symm": 6, "tensor": 6, "tensor asym": 9}
_MAX_LINES = 1_000_000
_MAX_STEPS = 1_000_000
_MAX_MESSAGE = 300  # characters, which may repeat a damaged line


@dataclass
class EnSightFile:
    """A file of a case, of which there may be one for each step.

    Attributes:
        pattern: Its name; asterisks stand for the digits of the step's number.
        time_set: Number of its time set; None if it is the same at all times.
        file_set: Number of its file set, if one file has several steps.
    """

    pattern: str
    time_set: int | None
    file_set: int | None


@dataclass
class EnSightVariable:
    """A variable on nodes or elements, with its number of channels."""

    name: str
    channels: int
    on_nodes: bool
    file: EnSightFile


@dataclass
class _TimeSet:
    count: int = 0
    start: int | None = None
    increment: int = 1
    numbers: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def file_number(self, step: int) -> int:
        if self.numbers:
            return self.numbers[step]
        if self.start is None:
            raise ValueError("expected 'filename start number' or 'filename numbers' of a time set")
        return self.start + step * self.increment


class EnSightCase:
    """The files of a case by time step.

    Source: EnSight User Manual, "EnSight Gold Casefile Format" and "EnSight6 Casefile Format".

    Args:
        path: The ``.case`` file.

    Attributes:
        is_gold: Whether the files are of EnSight Gold; otherwise of EnSight 6.
        model: The geometry.
        variables: Variables on nodes and elements.
        constants: Numbers of the case by name: one, or one a step.
        times: Time of each step; empty if the case has no time set.

    Raises:
        ValueError: If it is damaged, or has a part that is not read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.is_gold = False
        self.variables: list[EnSightVariable] = []
        self.constants: dict[str, tuple[int | None, list[float]]] = {}
        self.model: EnSightFile | None = None
        self._sets: dict[int, _TimeSet] = {}
        self._file_sets: dict[int, int] = {}
        self._current = 0
        self._read()
        self.times = self._common_times()

    def file(self, named: EnSightFile, step: int) -> tuple[Path, int | None, int]:
        """Path of a file at a step, and, if it has several steps, which and how many.

        Raises:
            ValueError: If it is outside the folder of the case, or there is no such file.
        """
        name, number, count = named.pattern, None, 1
        own = None if named.time_set is None else self._sets[named.time_set]
        step = 0 if own is None or own.count == 1 else step
        if named.file_set is not None:
            count = self._file_sets[named.file_set]
            number = step
            if "*" in name:
                raise ValueError("several files of several time steps each are not read")
        if "*" in name:
            if own is None:
                raise ValueError(f"expected a time set of '{name}' (got none)")
            digits = own.file_number(step)
            if digits < 0:
                raise ValueError(f"expected a number of the file '{name}' (got {digits})")
            name = re.sub(r"\*+", lambda found: f"{digits:0{len(found[0])}d}", name)
        target = resolve_below(self._path.parent, name, self._path)
        if not target.is_file():
            raise ValueError(f"refers to '{name}', which is missing")
        return target, number, count

    def constants_at(self, step: int) -> dict[str, float]:
        """Numbers of the case at a step."""
        found = {}
        for name, (time_set, values) in self.constants.items():
            own = None if time_set is None else self._sets[time_set]
            steps = 1 if own is None else own.count
            if len(values) != steps:
                raise ValueError(f"expected {steps} values of the constant '{name}'")
            found[name] = values[0 if steps == 1 else step]
        return found

    def _read(self) -> None:
        text = self._path.read_text(encoding="utf-8", errors="replace")
        if not text.rstrip(" \t").endswith("\n"):
            raise ValueError(NO_END)
        lines = text.splitlines()
        if len(lines) > _MAX_LINES:
            raise ValueError(f"expected at most {_MAX_LINES:,} lines (got {len(lines):,})")
        section, key = "", ""
        for number, raw in enumerate(lines, 1):
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            if line.upper() in _SECTIONS or line.upper() == "BLOCK_CONTINUATION":
                section = line.upper()
                if section not in _SECTIONS:
                    raise ValueError(f"line {number}: {section} is not read")
                continue
            if section in _IGNORED_SECTIONS:
                continue
            name, colon, rest = line.partition(":")
            numbers_follow = section == "TIME" and not colon
            key = key if numbers_follow else " ".join(name.lower().split())
            words = [w.strip("\"'") for w in _WORD.findall(line if numbers_follow else rest)]
            try:
                if not section or (not colon and not numbers_follow):
                    raise ValueError(f"expected a section or 'name: value' (got '{line[:60]}')")
                getattr(self, f"_read_{section.lower()}")(key, words)
            except (ValueError, IndexError, KeyError) as error:
                raise ValueError(f"line {number}: {str(error)[:_MAX_MESSAGE]}") from error
        if self.model is None:
            raise ValueError("expected GEOMETRY with a model")
        files = [self.model, *(variable.file for variable in self.variables)]
        for file in files:
            if file.time_set is None and "*" in file.pattern and len(self._sets) == 1:
                file.time_set = next(iter(self._sets))
        sets = {one.time_set for one in files} | {used for used, _ in self.constants.values()}
        for used in sets - {None, *self._sets}:
            raise ValueError(f"expected the time set {used} in TIME (got none)")
        for used in {one.file_set for one in files} - {None, *self._file_sets}:
            raise ValueError(f"expected the file set {used} in FILE (got none)")

    def _read_format(self, key: str, words: list[str]) -> None:
        if key == "type":
            kind = " ".join(words).lower()
            if kind not in ("ensight", "ensight gold"):
                raise ValueError(f"expected the type 'ensight' or 'ensight gold' (got '{kind}')")
            self.is_gold = kind == "ensight gold"

    def _read_geometry(self, key: str, words: list[str]) -> None:
        if key == "model":
            if "change_coords_only" in words:
                raise ValueError("change_coords_only is not read; store every step whole")
            words = [word for word in words if word != "changing_geometry_per_part"]
            self.model = _file(words[:-1], words[-1])
        elif key in ("measured", "match", "boundary"):
            self._warn(f"'{key}' of GEOMETRY is not read")
        else:  # rigid bodies, which move parts
            raise ValueError(f"'{key}' of GEOMETRY is not read")

    def _read_variable(self, key: str, words: list[str]) -> None:
        kind, _, place = key.partition(" per ")
        if kind == "constant" and place == "case":
            named = next(i for i, word in enumerate(words) if not word.isdecimal())
            time_set = int(words[0]) if named else None
            self.constants[words[named]] = time_set, [float(word) for word in words[named + 1 :]]
        elif kind in _CHANNELS and place in ("node", "element"):
            file = _file(words[:-2], words[-1])
            self.variables.append(
                EnSightVariable(words[-2], _CHANNELS[kind], place == "node", file)
            )
        else:  # complex, measured, in files
            self._warn(f"the variable '{key}: {' '.join(words)}' is not read")

    def _read_time(self, key: str, words: list[str]) -> None:
        if key == "time set":
            self._current = int(words[0])
            self._sets[self._current] = _TimeSet()
            return
        if key not in _TIME_KEYS:
            raise ValueError(f"'{key}' of TIME is not read")
        own = self._sets[self._current]
        if key == "number of steps":
            own.count = int(words[0])
            if not 1 <= own.count <= _MAX_STEPS:
                raise ValueError(f"expected 1 to {_MAX_STEPS:,} steps (got {own.count})")
        elif key == "filename start number":
            own.start = int(words[0])
        elif key == "filename increment":
            own.increment = int(words[0])
        elif key == "filename numbers":
            own.numbers += map(int, words)
        elif key == "time values":
            own.times += map(float, words)

    def _read_file(self, key: str, words: list[str]) -> None:
        if key == "file set":
            self._current = int(words[0])
            self._file_sets[self._current] = 1
        elif key == "number of steps":
            self._file_sets[self._current] = int(words[0])
        else:
            raise ValueError(f"'{key}' of FILE is not read")

    def _common_times(self) -> list[float]:
        """Times of the steps of all time sets that have more than one, or of the first one."""
        chosen: list[float] = []
        assert self.model is not None
        used = [self.model.time_set, *(variable.file.time_set for variable in self.variables)]
        used += [time_set for time_set, _ in self.constants.values()]
        for number in dict.fromkeys(one for one in used if one is not None):
            own = self._sets[number]
            if len(own.times) != own.count or (own.numbers and len(own.numbers) != own.count):
                raise ValueError(
                    f"expected {own.count} times and file numbers of the time set {number} (got "
                    f"{len(own.times)} and {len(own.numbers)}); truncated"
                )
            if own.count > 1 and len(chosen) > 1 and own.times != chosen:
                raise ValueError(
                    "its variables have different times, which are not read together; save a case "
                    "for each time set"
                )
            chosen = own.times if own.count > len(chosen) else chosen
        return chosen

    def choose(self, step: int | None) -> int:
        """Index of the time step to read; see :func:`~flare_mesh.io.time_steps.choose_step`."""
        return choose_step(self.times, step)

    def _warn(self, text: str) -> None:
        warnings.warn(f"{self._path}: {text}", MeshFileWarning, stacklevel=2)


_TIME_KEYS = (
    *("number of steps", "filename start number", "filename increment", "filename numbers"),
    *("time values", "maximum time steps"),
)


def _file(numbers: list[str], name: str) -> EnSightFile:
    sets = [int(word) for word in numbers]
    if len(sets) > 2:
        raise ValueError(f"expected numbers of a time set and a file set (got {numbers})")
    return EnSightFile(name, sets[0] if sets else None, sets[1] if len(sets) == 2 else None)
