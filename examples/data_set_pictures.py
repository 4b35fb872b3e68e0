"""A picture of one case of each data set that can be generated here.

    python examples/data_set_pictures.py [docs/images/data_sets]

Two minutes on two cores.
"""

import sys
import tempfile
from pathlib import Path

import lpbf.generate
from flare_mesh.datasets import LPBF, Darcy, Elasticity
from flare_mesh.datasets.generate import main as generate
from flare_mesh.visualize import plot_field

LOOK = {"size": (700, 560), "edges": False}


def draw(out: Path, data: Path) -> None:
    for name, num in (("plates", 2), ("obstacle-flow", 2), ("brackets", 2)):
        generate([name, "--num", str(num), "--out", str(data), "--workers", "1"])
    generate(["darcy", "--num", "6", "--resolution", "85", "--out", str(data), "--workers", "1"])
    generate(["elasticity", "--num", "4", "--out", str(data), "--workers", "1"])
    parts = ["--num-parts", "5", "--pitch", "1.5", "--layer-height", "1.5", "--size", "30", "40"]
    lpbf.generate.main(["--out", str(data / "lpbf"), *parts])

    def mesh_file(folder: str) -> Path:
        return sorted((data / folder).rglob("*.vtu"))[1]

    plot_field(mesh_file("plates"), "von_mises", path=out / "plates.png", **LOOK)
    plot_field(mesh_file("obstacle_flow"), "velocity", path=out / "obstacle_flow.png", **LOOK)
    bracket = mesh_file("brackets")
    plot_field(bracket, "von_mises", warp="displacement", path=out / "brackets.png", **LOOK)
    case = Darcy(str(data), "train", stride=1)[0]
    plot_field(case, case.y[:, 0], label="pressure", path=out / "darcy.png", **LOOK)
    case = Elasticity(str(data), "train")[0]
    plot_field(case, case.y[:, 0], label="stress", path=out / "elasticity.png", **LOOK)
    case = LPBF(str(data / "lpbf"), "train")[0]
    plot_field(
        case,
        case.y[:, 2],
        warp=case.y[:, :3],
        label="z displacement [mm]",
        path=out / "lpbf.png",
        **LOOK,
    )


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images/data_sets")
    with tempfile.TemporaryDirectory() as folder:
        draw(target, Path(folder))
    print(f"pictures in {target}")
