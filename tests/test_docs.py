import re
import subprocess
import sys
from pathlib import Path

import torch

from flare_mesh import MeshData
from flare_mesh.data import read_mesh

PAGE = Path(__file__).parents[1] / "docs/data.md"


def test_ten_lines_from_a_folder_to_a_trained_model(tmp_path):
    for number in range(5):
        data = MeshData(torch.eye(4, 3), tetra=torch.tensor([[3, 0, 1, 2]]))
        data.thickness = torch.rand(4, 1)
        data.displacement = torch.randn(4, 3)
        data.cell_von_mises = torch.rand(1)
        data.save(tmp_path / "results" / f"{number}.vtu")
    training, predicting = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[:2]
    assert len([line for line in training.splitlines() if line]) == 10
    code = (training + predicting).replace("max_epochs=50", "max_epochs=1, logger=False")
    code = code.replace("FLAREOperator(1, 4)", "FLAREOperator(1, 4, num_layers=1)")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/surrogate.safetensors").is_file()
    predicted = read_mesh(tmp_path / "predicted.vtu")
    assert predicted.predicted_displacement.shape == (4, 3)
