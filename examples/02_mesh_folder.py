"""Train a model on a folder of mesh files, and write its prediction to a file.

The folder holds plates with a hole under tension (Kirsch 1898), as a solver would write them: one
`.vtu` file per plate, with the load in its name, triangles or quads of any size, and stresses at
the nodes. Training uses the folder alone.

On the command line,

    flare-mesh fit --config mesh_folder_cpu

trains on the same folder with the recipe of flare-mesh init; the folder and its fields are in
configs/mesh_folder_cpu.yaml.
"""

import sys
from pathlib import Path

import numpy as np
import pyvista
import torch
from lightning import Trainer, seed_everything

from flare_mesh import MeshData, write_mesh
from flare_mesh.training import FieldDataModule, OptimizerConfig, build_module

RESULTS = Path("results")


def kirsch_stress(pos: torch.Tensor, radius: float, load: float) -> torch.Tensor:
    """Stress (xx, yy, xy) around a hole in a wide plate under tension along x, [N, 3], MPa."""
    x, y = pos[:, 0].double(), pos[:, 1].double()
    ratio = (radius**2 / (x**2 + y**2)).clamp(max=1.0)
    angle = torch.atan2(y, x)
    cos, sin = torch.cos(2 * angle), torch.sin(2 * angle)
    rr = 0.5 * (1 - ratio) + 0.5 * (1 - 4 * ratio + 3 * ratio**2) * cos
    tt = 0.5 * (1 + ratio) - 0.5 * (1 + 3 * ratio**2) * cos
    rt = -0.5 * (1 + 2 * ratio - 3 * ratio**2) * sin
    mean, half = (rr + tt) / 2, (rr - tt) / 2
    xx = mean + half * cos - rt * sin
    yy = mean - half * cos + rt * sin
    xy = half * sin + rt * cos
    return (load * torch.stack([xx, yy, xy], dim=1)).float()


def write_case(rng: np.random.Generator, number: int) -> None:
    """Write a quarter of a plate, 20 mm wide, with a hole of 2 to 8 mm radius."""
    radius, load = rng.uniform(2, 8), rng.uniform(50, 150)
    rows, columns = rng.integers(12, 28, 2)
    angle = np.linspace(0, np.pi / 2, columns)
    edge = 20 / np.maximum(np.cos(angle), np.sin(angle))
    share = np.linspace(0, 1, rows)[:, None] ** 1.5
    r = radius + share * (edge - radius)
    grid = pyvista.StructuredGrid(r * np.cos(angle), r * np.sin(angle), 0 * r)
    plate = grid.cast_to_unstructured_grid()
    mesh = MeshData.from_pyvista(plate.triangulate() if number % 2 else plate)
    mesh.stress = kirsch_stress(mesh.pos, radius, load)
    write_mesh(RESULTS / f"plate_{number:03d}_load{load:.1f}.vtu", mesh)


def main(num_cases: int = 100, epochs: int = 60) -> float:
    rng = np.random.default_rng(0)
    for number in range(num_cases):
        write_case(rng, number)

    seed_everything(0, verbose=False)
    data = FieldDataModule(
        "mesh_folder",
        str(RESULTS),
        options={
            "inputs": ["load"],
            "targets": ["stress"],
            "name_pattern": r"load(?P<load>[\d.]+)\b",
            "units": {"load": "MPa", "stress": "MPa"},
            "weights": True,
        },
        batch_size=4,
        in_memory=True,
    )
    module = build_module(
        data,
        "flare",
        options={"hidden_channels": 32, "num_layers": 3, "heads": 4, "num_latents": 32},
        optimizer=OptimizerConfig(lr=4e-3),
    )
    trainer = Trainer(
        max_epochs=epochs,
        gradient_clip_val=1.0,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    trainer.fit(module, data)
    trainer.test(module, data)
    module.surrogate.save("run")

    mesh = data.cases("test").dataset[0]
    predicted = module.surrogate.predict(mesh)["stress"]
    write_mesh(
        "predicted.vtu", mesh, predicted_stress=predicted, error_stress=predicted - mesh.stress
    )
    return float(trainer.callback_metrics["test_relative_l2_stress"])


if __name__ == "__main__":
    error = main(*map(int, sys.argv[1:]))
    print(f"relative L2 error of the stress on unseen plates: {error:.3f}; see predicted.vtu")
