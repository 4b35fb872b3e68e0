import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flare_mesh.commands import light_imports

# A module that refuses attributes, as torch's configurations do.
FIXED = """
import sys
class Fixed(type(sys)):
    def __setattr__(self, name, value):
        raise AttributeError(name)
sys.modules[__name__].__class__ = Fixed
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Import of the package ``slow_package``, with the execution of it and its module noted."""
    folder = tmp_path / "slow_package"
    folder.mkdir()
    note = "import sys, time; time.sleep(0.01); sys.executed.append(__name__)\n"
    (folder / "__init__.py").write_text(f"{note}VALUE = 3\nfrom . import part, fixed\n")
    (folder / "part.py").write_text(f"{note}import slow_package\nOTHER = 4\n")
    (folder / "fixed.py").write_text(FIXED)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(light_imports, "_DEFERRED", ("slow_package",))
    monkeypatch.setattr(sys, "executed", [], raising=False)
    monkeypatch.setattr(sys, "meta_path", [light_imports._DeferringFinder(), *sys.meta_path])
    yield importlib.import_module("slow_package")
    for name in ("slow_package", "slow_package.part", "slow_package.fixed"):
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


def test_import_of_a_module_that_refuses_attributes(package):
    fixed = importlib.import_module("slow_package.fixed")
    assert fixed.__spec__.origin.endswith("fixed.py")
    assert package.fixed is fixed


def test_threads_wait_for_the_package(package):
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(lambda _: package.VALUE, range(4))] == [3] * 4
    assert sys.executed == ["slow_package", "slow_package.part"]


def test_a_package_that_fails_is_tried_again(package):
    file = Path(package.__file__)
    text = file.read_text()
    file.write_text("raise OSError('no library')\n")
    for _ in range(2):
        with pytest.raises(OSError, match="no library"):
            package.VALUE  # noqa: B018
    file.write_text(text)
    assert package.VALUE == 3
