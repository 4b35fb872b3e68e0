"""Size and time of a report of ten predictions with 50,000 nodes each.

    python benchmarks/report_size.py [OUT.html] [NODES]

Each has two fields with truth and band, so all kinds of pictures and views. Fails if the file has
fewer cases than that, or more than 20 MB.
"""

import json
import re
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from flare_mesh import MeshData
from flare_mesh.prediction import Prediction
from flare_mesh.report import write_report
from lpbf import HexMesh

CASES, LARGEST = 10, 20e6


def prediction(number: int, nodes: int) -> Prediction:
    """A plate with holes, so that it has a large surface, and fields of several frequencies."""
    side = round((nodes / 1.05 / 6) ** 0.5)
    x, y = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    holes = (x % 12 < 3) & (y % 12 < 3)
    block = HexMesh.from_mask(np.repeat(~holes[:, :, None], 5, axis=2), 1.0)
    pos = torch.from_numpy(block.points).float()
    mesh = MeshData(pos, hexahedron=torch.from_numpy(block.cells))
    generator = torch.Generator().manual_seed(number)
    wave = torch.sin(pos @ torch.rand(3, 3, generator=generator) / 8)
    truth = {"displacement": wave * 0.1, "von_mises": 300 + 200 * wave[:, :1]}
    noise = 1 + 0.1 * torch.randn(len(pos), 1, generator=generator)
    predicted = {name: field * noise for name, field in truth.items()}
    band = {name: field.abs().mean(1, keepdim=True) * 0.2 for name, field in truth.items()}
    units = {"displacement": "mm", "von_mises": "MPa"}
    given = {"band": band, "coverage": 0.9, "ood_score": 0.5 + 0.1 * number}
    return Prediction(f"plate_{number}", mesh, predicted, truth, units, **given)


def main() -> None:
    nodes = int(sys.argv[2]) if len(sys.argv) > 2 else 50_000
    with TemporaryDirectory() as folder:
        out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "report.html"
        for number in range(CASES):
            found = prediction(number, nodes)
            found.save(Path(folder) / f"plate_{number}.vtu")
        wall, cpu = time.perf_counter(), time.process_time()
        missing = write_report(folder, out)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        assert not missing, missing
        page, size = out.read_text(), out.stat().st_size
    scene = json.loads(re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page)[0])
    pictures = page.count("data:image/webp")
    assert len(scene["cases"]) == CASES
    assert pictures >= 2 * CASES
    print(
        f"{CASES} predictions of {found.num_points:,} nodes: {size / 1e6:.1f} MB "
        f"({pictures} pictures), {wall:.0f} s, CPU {cpu:.0f} s"
    )
    assert size <= LARGEST, f"expected at most {LARGEST / 1e6:.0f} MB"


if __name__ == "__main__":
    main()
