"""Run by a Python that has only the wheel: does it import, and does it keep to its own names?"""

import importlib
import importlib.metadata
import importlib.util

MODULES = ("flare_mesh", "flare_mesh.datasets", "flare_mesh.visualize", "lpbf")

for name in MODULES:
    module = importlib.import_module(name)
    assert "site-packages" in str(module.__file__), module.__file__
assert importlib.util.find_spec("datasets") is None, "the wheel installed a package 'datasets'"
files = importlib.metadata.files("flare-mesh") or []
tops = {file.parts[0] for file in files if not file.parts[0].endswith(".dist-info")}
assert {top for top in tops if top != ".."} == {"flare_mesh", "lpbf"}, tops
print("wheel imports:", ", ".join(MODULES))
