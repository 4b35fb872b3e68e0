import importlib
import logging
import sys
from pathlib import Path

import pytest
from numba.core import config

from flare_mesh.compiled import sources
from flare_mesh.compiled.jit import jit


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """A new dispatcher of one function, with its cache in a folder of the test."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))

    def double(x):
        return 2 * x

    return lambda: jit(double)


def test_compiled_once(cached, caplog):
    assert cached()(4) == 8
    again = cached()
    assert again(4) == 8
    assert sum(again.stats.cache_hits.values()) == 1
    assert not caplog.records


def test_a_damaged_cache_costs_time_only(cached, tmp_path, caplog):
    assert cached()(4) == 8
    files = list(Path(tmp_path).rglob("*.nb?"))
    assert files
    for file in files:
        file.write_bytes(b"damaged")
    with caplog.at_level(logging.WARNING):
        assert cached()(4) == 8
    assert "cannot read compiled code in" in caplog.text
    assert "set NUMBA_CACHE_DIR" in caplog.text


def test_a_full_disk_costs_time_only(cached, tmp_path, caplog, full_disk):
    with full_disk(0), caplog.at_level(logging.WARNING):
        assert cached()(4) == 8
    assert "cannot write compiled code in" in caplog.text


def test_a_change_in_another_file_is_compiled(cached, tmp_path, monkeypatch):
    package = tmp_path / "loops_of_a_test"
    package.mkdir()
    (package / "__init__.py").touch()
    jitted = "from flare_mesh.compiled.jit import jit\n{}@jit\ndef {}(x):\n    return {}\n"
    caller = "from loops_of_a_test import inner\n"
    (package / "outer.py").write_text(jitted.format(caller, "outer", "inner.inner(x) + 1"))
    (package / "inner.py").write_text(jitted.format("F = 2\n", "inner", "F * x"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def evaluate():
        for name in [name for name in sys.modules if name.startswith(package.name)]:
            monkeypatch.delitem(sys.modules, name)
        sources._content.cache_clear()  # as in another process
        sources._imported_files.cache_clear()
        outer = importlib.import_module(f"{package.name}.outer").outer
        return outer(4), sum(outer.stats.cache_hits.values())

    assert evaluate() == (9, 0)
    assert evaluate() == (9, 1)
    (package / "inner.py").write_text(jitted.format("F = 3\n", "inner", "F * x"))
    assert evaluate() == (13, 0)
