import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest

import lpbf
from flare_mesh.io import read_mesh

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "lpbf.md").read_text()
COMMANDS = re.findall(r"^python -m (lpbf\.\w+) (.*)$", PAGE, re.MULTILINE)


def test_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {"__name__": "docs"}
    exec(code, names)
    assert read_mesh("part.vtu").num_nodes == names["mesh"].num_nodes
    assert Path("part.pvd").is_file()
    assert Path("part/part_0000.vtu").is_file()
    assert lpbf.Process.from_yaml("process.yaml") == names["process"]


class UnderstoodError(Exception):
    pass


@pytest.mark.parametrize(("module", "arguments"), COMMANDS)
def test_commands_are_understood(monkeypatch, module, arguments):
    package = importlib.import_module(module)
    name = f"{module}.__main__" if hasattr(package, "__path__") else module
    parse = argparse.ArgumentParser.parse_args

    def only_parse(*args, **options):
        parse(*args, **options)
        raise UnderstoodError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
    with pytest.raises(UnderstoodError):
        importlib.import_module(name).main(shlex.split(arguments))


def test_all_commands_are_shown():
    names = ("simulate", "compensate", "generate", "stats", "convert")
    assert {module for module, _ in COMMANDS} == {f"lpbf.{name}" for name in names}


def test_fields_and_strategies_are_those_of_the_process():
    table = PAGE.split("| field | model")[1].split("\n\n")[0]
    cells = [row.split("|")[1] for row in table.splitlines()[2:]]
    fields = set(re.findall(r"`(\w+)`", " ".join(cells)))
    assert fields == set(lpbf.Process.__dataclass_fields__)
    table = PAGE.split("| name | vectors")[1].split("\n\n")[0]
    assert set(re.findall(r'`"(\w+)"`', table)) == set(lpbf.SCANS)


def test_pictures_are_there():
    for path in re.findall(r"!\[.*?\]\((.*?)\)", PAGE):
        assert (DOCS / path).is_file()
