import json
import warnings

import numpy as np
import pytest
from scipy.io import savemat

from flare_mesh.cases import CaseRecipe
from flare_mesh.cli import main
from flare_mesh.commands.train import FieldCLI
from flare_mesh.configs import config_names, find_config
from flare_mesh.training import FieldDataModule
from flare_mesh.training.build import check_model

# Parameters of the models.
PUBLISHED = {
    "elasticity_flare": 592_641,
    "elasticity_flare_experimental": 592_897,
    "elasticity_flare_ablations": 992_513,
    "elasticity_flare_loopy": 592_641,
    "elasticity_flare_unloopy": 447_041,
    "darcy_flare": 691_009,
    "airfoil_flare": 690_945,
    "pipe_flare": 625_409,
    "drivaerml_40k_flare": 691_009,
    "lpbf_flare": 625_473,
    "elasticity_transformer": 662_081,
    "elasticity_transolver": 713_665,
    # The authors' code has a layer of 4 C parameters that it never calls.
    "elasticity_transolver++": 591_305 - 4 * 128,
    "elasticity_lamo": 1_953_577,
    # Without two numbers that the authors' code does not use.
    "darcy_lamo": 1_145_984,
    "airfoil_lamo": 1_144_825,
    "pipe_lamo": 4_020_545,
    "plasticity_lamo": 3_791_044,
    "darcy_transolver_grid": 2_826_945,
    "elasticity_lno": 1_831_745,
    "elasticity_gnot": 4_870_553,
    "elasticity_meshgraphnet": 2_331_649,
    "elasticity_geotransolver": 4_760_157,
    "elasticity_perceiver_io": 1_864_833,
    "elasticity_upt": 6_439_105,
    "drivaerml_40k_ab_upt": 6_005_953,
}
# Dimension, inputs and targets of each set.
SHAPES = {
    "elasticity": (2, {}, {"stress": 1}),
    "darcy": (2, {"coeff": 1}, {"sol": 1}),
    "airfoil": (2, {}, {"mach": 1}),
    "pipe": (2, {}, {"velocity_x": 1}),
    "plasticity": (2, {"die": 1, "time": 1}, {"deformation": 4}),
    "drivaerml": (3, {}, {"pressure": 1}),
    "lpbf": (3, {}, {"displacement_z": 1}),
}
# Those of sequences are in test_sequence_configs.py.
NAMES = [name for name in config_names() if not name.startswith("lra_")]
GRIDS = {"darcy": (85, 85), "airfoil": (221, 51), "pipe": (129, 129), "plasticity": (101, 31)}


class ParseOnly(FieldCLI):
    """The command's parser without what follows."""

    def before_instantiate_classes(self):
        pass

    def instantiate_classes(self):
        pass

    def _run_subcommand(self, subcommand):
        pass


@pytest.fixture(scope="module")
def cli():
    return ParseOnly(["fit", "--config", str(find_config("lpbf_cpu"))])


def parse(cli, path):
    cli.parse_arguments(cli.parser, ["fit", "--config", str(path)])
    return cli.config


def test_every_published_set_has_its_recipe():
    names = NAMES
    assert {name for name in names if name.endswith("_flare")} == {
        *(name for name in PUBLISHED if name.endswith("_flare")),
        "drivaerml_1m_flare",
    }
    assert PUBLISHED.keys() <= set(names)
    assert {name for name in names if name.endswith("_cpu")} == {
        f"{name}_cpu" for name in ("darcy", "elasticity", "lpbf", "mesh_folder", "navier_stokes")
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_command_line_knows_all_options(cli, name):
    options = parse(cli, find_config(name)).fit
    check_model(options.model.name, options.model.options or {})
    assert FieldDataModule(**options.data.as_dict()).has("test")
    if name.endswith("_cpu"):
        # No paper's settings, but the recipe of init.
        model, data = options.model, options.data
        assert options.budget is not None
        assert (options.keep, model.size, model.options) == ("last", "medium", None)
        assert (model.optimizer.name, model.optimizer.lr) == ("muon", 1e-2)
        assert model.optimizer.weight_decay == 1e-1
        assert (model.schedule.name, model.schedule.pct_start) == ("cosine", 0.05)
        assert any("geometry_features" in one for one in data.features)
        assert data.sample_nodes in ("auto", 128)
    else:
        # The first lines name the paper.
        assert "arXiv" in " ".join(find_config(name).read_text().splitlines()[:2])
        # The test cases select nothing: the last weights are used.
        assert options.data.val_split is None
        assert options.out == f"runs/{name}"


def test_an_unknown_option_would_be_refused(cli, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("model: {optimizer: {learning_rate: 1.0}}\n")
    with pytest.raises(ValueError, match="learning_rate"):
        parse(cli, path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name in PUBLISHED or "_flare" in name])
def test_the_model_has_the_published_size(cli, monkeypatch, name):
    options = parse(cli, find_config(name))
    data = options.fit.data
    pos_dim, inputs, fields = SHAPES[data.name]
    assert data.options.get("targets", [*fields]) == [*fields]
    recipe = CaseRecipe(
        dataset=data.name,
        pos_dim=pos_dim,
        in_channels=sum(inputs.values()),
        inputs=inputs,
        targets=fields,
        grid_shape=GRIDS.get(data.name),
    )
    # No data are opened.
    monkeypatch.setattr(FieldDataModule, "recipe", lambda self: recipe)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's call, which jsonargparse is renaming.
        module = cli.parser.instantiate_classes(options).fit.model
    parameters = sum(p.numel() for p in module.surrogate.model.parameters())
    assert parameters == PUBLISHED.get(name, parameters)
    if "_flare" in name and name in PUBLISHED:
        assert f"{parameters:,} parameters" in " ".join(
            line.removeprefix("# ") for line in find_config(name).read_text().splitlines()
        )
    assert module.optimizer.decay_latents
    # The program of the comparison averages weights; those of the models' authors do not.
    assert (module.ema is None) == name.endswith(("_lamo", "_transolver_grid", "_upt"))


def fit(name, root, out, *options, **more):
    model = {"hidden_channels": 8, "num_layers": 1, "heads": 2, "num_latents": 4, **more}
    given = {
        "--config": name,
        "--out": out,
        "--data.root": root,
        "--budget": "null",
        "--model.size": "null",
        "--trainer.max_epochs": 1,
        "--trainer.accelerator": "cpu",
        "--model.options": json.dumps(model),
    }
    arguments = [f"{key}={value}" for key, value in given.items()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main(["fit", *arguments, *options]) == 0
    return json.loads((out / "summary.json").read_text())


@pytest.mark.slow
def test_elasticity_on_a_few_cells(tmp_path):
    rng, meshes = np.random.default_rng(0), tmp_path / "elasticity/Meshes"
    meshes.mkdir(parents=True)
    np.save(meshes / "Random_UnitCell_XY_10.npy", rng.random((20, 2, 24)))
    np.save(meshes / "Random_UnitCell_sigma_10.npy", 1 + rng.random((20, 24)))
    summary = fit("elasticity_cpu", tmp_path, tmp_path / "run", "--data.val_split=0.2")
    assert summary["test_relative_l2"]["stress"] < 1
    assert summary["kept"] == "last"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "steps"),
    # 5 series of 9, or of 7 windows each, in batches of 8.
    [("navier_stokes_cpu", {}, 6), ("navier_stokes_history", {"history": "fading"}, 5)],
)
def test_steps_of_a_flow_are_predicted_one_after_another(tmp_path, name, options, steps):
    rng = np.random.default_rng(0)
    savemat(tmp_path / "NavierStokes_V1e-3_N6_T20.mat", {"u": 1 + rng.random((6, 4, 4, 20))})
    summary = fit(name, tmp_path, tmp_path / "run", "--data.batch_size=8", **options)
    assert summary["test_relative_l2"]["vorticity_out"] < 1
    assert summary["steps"] == steps
