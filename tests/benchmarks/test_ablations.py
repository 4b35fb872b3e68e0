import importlib.util
from pathlib import Path

import pytest
import yaml

from flare_mesh.commands import benchmark as commands
from flare_mesh.commands.parser import CommandParser
from flare_mesh.models import build

PATH = Path(__file__).parents[2] / "benchmarks" / "ablations.py"


@pytest.fixture(scope="module")
def ablations():
    spec = importlib.util.spec_from_file_location("ablations", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# In the paper's Elasticity setting: C = 64, 8 blocks, 8 heads, 64 latents.
SIZES = {
    ("kv_layers", "num_latents-64_kv_layers-5"): 725_761,
    ("ffn_layers", "num_latents-64_ffn_layers-0"): 492_801,
    ("blocks", "num_latents-512_num_layers-8"): 822_017,
    ("shared_latents", "shared_latents-True_num_layers-8"): 563_969,
    ("latent_blocks", "latent_blocks-1_num_layers-8"): 992_513,
    ("passes", "num_layers-1_passes-4"): 96_257,
}


def test_models_have_the_sizes_of_the_paper(ablations):
    for (sweep, label), size in SIZES.items():
        if sweep == "blocks":
            label, options = "num_latents-128_num_layers-8", {"num_latents": 512}
        else:
            options = {}
        model = ablations.models(sweep)[label]["options"] | options
        built = build("flare", in_channels=0, out_channels=1, pos_dim=2, **model)
        assert sum(p.numel() for p in built.parameters()) == size, label


def test_the_configuration_is_one_of_the_benchmark(ablations, monkeypatch, tmp_path):
    def benchmark(**options):
        asked.append(options)
        rows = ["model,relative_l2,relative_l2_std"]
        rows += [f"{label},0.1,0.01" for label in options["models"]]
        (tmp_path / "table.csv").write_text("\n".join(rows))

    asked = []
    monkeypatch.setattr(ablations, "benchmark", benchmark)
    argv = ["x", "shared_latents", "--out", str(tmp_path), "--seconds", "5"]
    monkeypatch.setattr("sys.argv", argv)
    ablations.main()
    assert asked[0]["seconds"] == 5
    assert len(asked[0]["models"]) == 8
    assert yaml.safe_load((tmp_path / "ablation.yaml").read_text()) == asked[0]
    assert (tmp_path / "ablation.png").stat().st_size > 5_000
    parser = CommandParser("benchmark", commands.benchmark)
    parsed = parser.parse(["--config", str(tmp_path / "ablation.yaml")])
    assert parsed["models"] == asked[0]["models"]
