import importlib
import sys

import pytest

from flare_mesh.commands import light_imports


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Import of the package ``slow_package``, with the execution of it and its module noted."""
    folder = tmp_path / "slow_package"
    folder.mkdir()
    note = "import sys; sys.executed = [*getattr(sys, 'executed', []), __name__]\n"
    (folder / "__init__.py").write_text(f"{note}VALUE = 3\nfrom . import part\n")
    (folder / "part.py").write_text(f"{note}import slow_package\nOTHER = 4\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(light_imports, "_DEFERRED", ("slow_package",))
    monkeypatch.setattr(sys, "executed", [], raising=False)
    monkeypatch.setattr(sys, "meta_path", [light_imports._DeferringFinder(), *sys.meta_path])
    yield importlib.import_module("slow_package")
    for name in ("slow_package", "slow_package.part"):
        sys.modules.pop(name, None)


def test_executed_by_the_first_attribute(package):
    assert package.__name__ == "slow_package"
    assert not hasattr(package, "__wrapped__")
    assert sys.executed == []
    assert package.VALUE == 3
    assert package.part.OTHER == 4
    assert sys.executed == ["slow_package", "slow_package.part"]
    with pytest.raises(AttributeError, match="slow_package"):
        package.missing  # noqa: B018


def test_executed_before_its_submodule(package):
    assert importlib.import_module("slow_package.part").OTHER == 4
    assert sys.executed == ["slow_package", "slow_package.part"]
    assert package.VALUE == 3


def test_import_of_a_name(package):
    namespace = {}
    exec("from slow_package import VALUE, part", namespace)
    assert namespace["VALUE"] == 3
    assert sys.executed == ["slow_package", "slow_package.part"]
