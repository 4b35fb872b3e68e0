import importlib

import pytest
from torch.utils.data import Dataset

from flare_mesh.models import FieldModel
from flare_mesh.trusted_classes import import_class, is_class_path, trusting_code


@pytest.mark.parametrize("path", ["os:system", "own_code:Net", "antigravity:fly"])
def test_nothing_is_imported_without_trust(path, own_code, monkeypatch):
    def imported(name):
        raise AssertionError(f"imported {name}")

    monkeypatch.setattr("flare_mesh.trusted_classes.import_module", imported)
    with pytest.raises(ValueError, match=f"'{path}' is code outside .* add --trust-code") as caught:
        import_class(path, FieldModel)
    assert "\n" not in str(caught.value)
    with trusting_code(False), pytest.raises(ValueError, match="--trust-code"):
        import_class(path, FieldModel)
    assert not own_code.exists()


def test_a_trusted_class_is_imported(own_code):
    # As a function with trust_code=False within the block.
    with trusting_code(), trusting_code(False):
        found = import_class("own_code:Net", FieldModel)
    assert own_code.exists()
    assert found is importlib.import_module("own_code").Net
    assert found.stored_name() == "own_code:Net"
    with pytest.raises(ValueError, match="--trust-code"):
        import_class("own_code:Net", FieldModel)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("os:system", "'os:system': expected a subclass of flare_mesh.*FieldModel .*built-in"),
        ("own_code:Plates", "expected a subclass of flare_mesh.*FieldModel .*Plates"),
        ("own_code:Nett", "no such class in 'own_code'; did you mean 'Net'"),
        ("math:Net", "no such class in 'math'; it has no FieldModel either"),
        ("no_such_module:Net", "cannot import 'no_such_module' .*install its package"),
        ("own_code:f.<locals>.Net", "expected a class as package.module:Class"),
        ("own_code:", "expected a class as package.module:Class"),
        ("own code:Net", "expected a class as package.module:Class"),
        ("a:b:c", "expected a class as package.module:Class"),
    ],
)
def test_messages(path, message, own_code):
    assert is_class_path(path)
    with trusting_code(), pytest.raises(ValueError, match=message) as caught:
        import_class(path, FieldModel)
    assert len(str(caught.value).splitlines()) == 1


def test_code_that_fails_is_one_line(own_code):
    own_code.with_name("own_broken.py").write_text("import torch\n1 / 0\n")
    with trusting_code(), pytest.raises(ValueError, match="ZeroDivisionError: division by zero"):
        import_class("own_broken:Net", Dataset)
