import logging
from pathlib import Path

import pytest
from numba.core import config

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
