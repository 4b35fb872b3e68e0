"""A picture of one case of each data set that can be generated here.

    python examples/data_set_pictures.py [docs/images/data_sets] [--sets NAME ...]

Two minutes on two cores.
"""

import argparse
import tempfile
from pathlib import Path

import lpbf.generate
from flare_mesh.datasets import LPBF, Darcy, Elasticity
from flare_mesh.datasets.generate import main as generate
from flare_mesh.visualize import plot_field

LOOK = {"size": (700, 560), "edges": False}


def mesh_file(name: str, data: Path) -> Path:
    """The second of two files of a generated set."""
    generate([name, "--num", "2", "--out", str(data), "--workers", "1"])
    return sorted((data / name.replace("-", "_")).rglob("*.vtu"))[1]


def plates(data: Path, path: Path) -> None:
    plot_field(mesh_file("plates", data), "von_mises", path=path, **LOOK)


def obstacle_flow(data: Path, path: Path) -> None:
    plot_field(mesh_file("obstacle-flow", data), "velocity", path=path, **LOOK)


def brackets(data: Path, path: Path) -> None:
    bracket = mesh_file("brackets", data)
    plot_field(bracket, "von_mises", warp="displacement", path=path, **LOOK)


def darcy(data: Path, path: Path) -> None:
    generate(["darcy", "--num", "6", "--resolution", "85", "--out", str(data), "--workers", "1"])
    case = Darcy(str(data), "train", stride=1)[0]
    plot_field(case, case.y[:, 0], label="pressure", path=path, **LOOK)


def elasticity(data: Path, path: Path) -> None:
    generate(["elasticity", "--num", "4", "--out", str(data), "--workers", "1"])
    case = Elasticity(str(data), "train")[0]
    plot_field(case, case.y[:, 0], label="stress", path=path, **LOOK)


def printed_part(data: Path, path: Path) -> None:
    options = ["--num-parts", "5", "--pitch", "1.5", "--layer-height", "1.5", "--size", "30", "40"]
    lpbf.generate.main(["--out", str(data), *options])
    case = LPBF(str(data), "train")[0]
    label, warp = "z displacement [mm]", case.y[:, :3]
    plot_field(case, case.y[:, 2], warp=warp, label=label, path=path, **LOOK)


SETS = {
    "plates": plates,
    "obstacle_flow": obstacle_flow,
    "brackets": brackets,
    "darcy": darcy,
    "elasticity": elasticity,
    "lpbf": printed_part,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default="docs/images/data_sets")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=[*SETS])
    args = parser.parse_args()
    for name in args.sets:
        with tempfile.TemporaryDirectory() as folder:
            SETS[name](Path(folder), args.out / f"{name}.png")
    print(f"pictures in {args.out}")


if __name__ == "__main__":
    main()
