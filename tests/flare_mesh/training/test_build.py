import pytest
import torch

from flare_mesh import FLAREOperator
from flare_mesh.cases import CaseRecipe
from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.surrogate.training_range import TrainingRange
from flare_mesh.testing import random_graph
from flare_mesh.training import FieldDataModule, RolloutConfig, build_module

SMALL = {"hidden_channels": 8, "heads": 2, "num_layers": 1, "num_latents": 2}


def recipe(**options):
    values = {
        "dataset": "plates",
        "pos_dim": 2,
        "in_channels": 1,
        "inputs": {"load": 1},
        "targets": {"stress": 3, "strain": 3},
        "units": {"stress": "MPa"},
        **options,
    }
    return CaseRecipe(**values)


def test_the_model_fits_the_data():
    module = build_module(recipe(), options=SMALL, normalizers={"y": "identity"})
    config = module.surrogate.model.config
    assert [config[key] for key in ("pos_dim", "in_channels", "out_channels")] == [2, 1, 6]
    assert (module.surrogate.inputs, module.surrogate.units) == ({"load": 1}, {"stress": "MPa"})
    assert module.surrogate.normalizers["y"] == "identity"


def test_a_size_has_no_heads_for_another_mixer():
    config = build_module(
        recipe(), size="small", options={"mixer": "softmax"}
    ).surrogate.model.config
    assert (config["hidden_channels"], config["num_layers"], config["heads"]) == (32, 3, 8)


def test_a_grid_of_another_shape_is_refused():
    grids, options = recipe(grid_shape=(3, 4)), {**SMALL, "grid_shape": [3, 4]}
    del options["num_latents"]
    assert build_module(grids, "transolver", options=options).surrogate.model.grid_shape == [3, 4]
    message = r"grid_shape: the data set 'plates' has grids of \[3, 4\] nodes \(got \[4, 3\]\)"
    with pytest.raises(ValueError, match=message):
        build_module(grids, "transolver", options={**options, "grid_shape": [4, 3]})


def test_a_series_is_predicted_step_by_step():
    series = recipe(
        inputs={"u_in": 4, "wall": 1}, in_channels=5, targets={"u_out": 6}, window=(2, 3)
    )
    module = build_module(series, options=SMALL, rollout=RolloutConfig())
    assert module.surrogate.model.config["out_channels"] == 2
    at_once = build_module(series, options=SMALL)
    assert at_once.surrogate.model.config["out_channels"] == 6
    assert at_once.surrogate.rollout is None


def test_a_model_with_history_sees_a_few_steps_at_a_time():
    series = recipe(
        inputs={"u_in": 6, "wall": 1}, in_channels=7, targets={"u_out": 4}, window=(3, 2)
    )
    options = {**SMALL, "history": "fading"}
    for steps, channels in ((None, 3), (2, 5)):
        surrogate = build_module(
            series, options=options, rollout=RolloutConfig(input_steps=steps)
        ).surrogate
        assert surrogate.model.config["in_channels"] == channels
        assert surrogate.rollout.input_steps == (steps or 1)
        assert surrogate.x_channels == 7
    for given, message in (
        ({"options": options}, "model.options.history: expected model.rollout"),
        ({"options": options, "rollout": RolloutConfig(input_steps=4)}, "expected 1 to 3"),
        (
            {"options": SMALL, "rollout": RolloutConfig(truncate=4)},
            r"model.rollout.truncate: expected a model with a history \(got 4 without\)",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            build_module(series, **given)
    with pytest.raises(ValueError, match="model with history and a rollout with input_steps, or"):
        Surrogate(FLAREOperator(1, 1, num_layers=1, history="equal"), {"u": 1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "flair"}, "unknown model 'flair'"),
        ({"options": {"head": 2}}, "model.options: .* no option 'head'; did you mean 'heads'"),
        ({"options": {"pos_dim": 3}}, "pos_dim: the data set 'plates' has 2; leave it out"),
        ({"options": {"in_channels": 2}}, "in_channels: the data set 'plates' has 1"),
        ({"options": {"heads": 3}}, "divisible by 'heads'"),
        ({"options": {"heads": "many"}}, r"model.options \{'heads': 'many'\}"),
        ({"rollout": RolloutConfig()}, "no time series; leave it out"),
        ({"average_symmetries": True}, r"expected random_square_symmetry in .* \(got \[\]\); add"),
        ({"normalizers": {"z": "identity"}}, "no normaliser for"),
        ({"normalizers": {"y": "gauss"}}, "normaliser of 'y'.*unknown normaliser 'gauss'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build_module(recipe(), **options)


def test_predictions_are_averaged_over_the_symmetries_of_the_augmentation():
    case = random_graph(5, 2, pos_dim=2)
    case.y = torch.ones(5, 1)
    columns = {"vectors": {"pos": [0], "x": [0], "other": [0]}, "sizes": {}}
    data = FieldDataModule.from_cases(
        [case], augment=[{"random_nodes": {"num_nodes": 3}}, {"random_square_symmetry": columns}]
    )
    module = build_module(data, options=SMALL, average_symmetries=True)
    assert module.surrogate.square_symmetry == {"vectors": {"pos": [0], "x": [0]}, "sizes": {}}
    assert build_module(data, options=SMALL).surrogate.square_symmetry is None


def test_a_rollout_needs_the_past_as_an_input():
    with pytest.raises(ValueError, match="expected the past of 'v_out' as an input 'v_in'"):
        build_module(
            recipe(inputs={"u_in": 2}, in_channels=2, targets={"v_out": 2}, window=(2, 2)),
            rollout=RolloutConfig(),
        )


def test_training_starts_from_the_weights_of_another_run(tmp_path):
    first = build_module(recipe(), options=SMALL).surrogate
    first.training_range = TrainingRange((1, 2), [(0.0, 1.0)] * 2, [(1.0, 1.0)] * 2, [(0.0, 1.0)])
    first.y_mean.fill_(3.0)
    first.save(tmp_path)
    second = build_module(recipe(), options=SMALL, weights=str(tmp_path)).surrogate
    for name, value in first.state_dict().items():
        assert value.equal(second.state_dict()[name])
    assert second.training_range == first.training_range
    with pytest.raises(ValueError, match=r"another model \(model.num_latents is 3 here, 2 in the"):
        build_module(recipe(), options={**SMALL, "num_latents": 3}, weights=str(tmp_path))
