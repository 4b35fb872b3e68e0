import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_package_is_listed():
    """The packages are mapped by hand, so a forgotten one would be missing from the wheel."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = set()
    for top, name in (
        ("flare_mesh", "flare_mesh"),
        ("lpbf", "lpbf"),
        ("datasets", "flare_mesh.datasets"),
        ("visualize", "flare_mesh.visualize"),
        ("configs", "flare_mesh.configs"),
    ):
        for init in (ROOT / top).rglob("__init__.py"):
            found.add(".".join([name, *init.parent.relative_to(ROOT / top).parts]))
    assert set(settings["packages"]) == found
    assert "datasets" not in settings["packages"]


def test_import_contract():
    """The layers of .importlinter, which `make lint` prints in full."""
    script = ROOT / ".ci" / "lint_imports.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def imported_by(statement):
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split() if name.count(".") < 2}


def test_imports_are_light(tmp_path):
    """What a start costs: of a model, of an option that does not exist, and of a prediction."""
    from flare_mesh import FLAREOperator, Surrogate

    Surrogate(FLAREOperator(3, 1, hidden_channels=8, heads=2), {"u": 1}).save(tmp_path)
    code = """
import sys
from pathlib import Path
from flare_mesh.cli import main
def loaded(*names):
    return [name for name in names if name in sys.modules]
import flare_mesh
flare_mesh.FLAREOperator
import flare_mesh.visualize
flare_mesh.visualize.plot_parity
assert not loaded("lightning", "vtk", "vtkmodules", "pyvista", "torch_geometric", "meshio")
assert not loaded("matplotlib")
assert main(["predict", "--modle", "x"]) == 2
assert not loaded("lightning", "torch_geometric", "trimesh"), "unknown option"
Path("empty").mkdir()
assert main(["predict", "--model", ".", "--input", "empty", "--out", "p.vtu"]) == 2
assert loaded("torch_geometric")
assert not loaded("scipy.ndimage", "scipy.sparse", "scipy.special", "pyvista", "matplotlib")
compiler = "torch._dynamo.convert_frame"
assert not loaded(compiler, "torch_geometric.datasets.planetoid", "lightning", "trimesh")
import torch
assert torch._dynamo.is_compiling() is False and loaded(compiler)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "unknown option '--modle'" in done.stderr
    assert "empty" in done.stderr


def test_the_simulator_knows_no_network():
    loaded = imported_by("import lpbf, lpbf.generate")
    # What only a few calls need, and would double the time of the import.
    assert not loaded & {"pyvista", "gmsh", "cadquery", "matplotlib", "meshio", "trimesh"}
    assert not {f"scipy.{room}" for room in ("linalg", "ndimage", "optimize", "spatial")} & loaded
    assert not loaded & {"lightning", "vtkmodules", "torch_geometric"}
    assert not {f"flare_mesh.{room}" for room in ("ops", "nn", "models", "training")} & loaded


def test_local_links_of_the_pages_exist():
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_public_names():
    import flare_mesh
    import lpbf

    for module in (flare_mesh, lpbf):
        for name in module.__all__:
            assert getattr(module, name) is not None
