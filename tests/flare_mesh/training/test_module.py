import math
import warnings
from types import SimpleNamespace

import pytest
import torch
from lightning import LightningDataModule, Trainer
from lightning.pytorch.strategies import FSDPStrategy
from torch_geometric.data import Batch
from torch_geometric.loader import DataLoader

from flare_mesh import FLAREOperator
from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.testing import random_graph
from flare_mesh.training import (
    FieldModule,
    LossConfig,
    OptimizerConfig,
    ScheduleConfig,
    relative_l2,
)
from flare_mesh.training.error_sums import ErrorSums
from flare_mesh.training.loss_monitor import NotFiniteError


def cases(count=4, nodes=7):
    found = [random_graph(nodes + i, seed=i) for i in range(count)]
    for number, case in enumerate(found):
        case.y = torch.cat([case.pos[:, :1] + 2, case.pos[:, 1:2].square() + 1], 1)
        case.case_id = f"case{number}"
    return found


def surrogate(**options):
    torch.manual_seed(0)
    model = FLAREOperator(0, 2, hidden_channels=4, num_layers=1, heads=1, num_latents=2)
    made = Surrogate(model, {"u": 1, "v": 1}, **options)
    made.fit_normalizers(cases())
    return made


def trainer(**options):
    quiet = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return Trainer(**{**quiet, **options})


def fit(module, loader, ckpt_path=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = trainer(**options)
        made.fit(module, loader, ckpt_path=ckpt_path)
    return made


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 10, 20])
def test_any_number_of_steps(steps):
    """The schedule's warm-up must not end on its first step."""
    module = FieldModule(surrogate(), optimizer=OptimizerConfig(lr=1e-2))
    assert fit(module, DataLoader(cases(1)), max_epochs=steps).global_step == steps


def test_loss_is_the_mean_over_graphs_and_fields():
    module = FieldModule(surrogate())
    batch = Batch.from_data_list(cases())
    expected = torch.stack(
        [relative_l2(module.surrogate(case), case.y, [1, 1])[0] for case in cases()]
    )
    torch.testing.assert_close(module.errors(batch), expected)
    fit(module, DataLoader(cases(), batch_size=4), max_epochs=1, max_steps=1)
    batch.case_weight = torch.tensor([0.5, 0.0, 0.0, 0.0])
    module = FieldModule(surrogate())
    module.trainer = trainer()
    loss = module.training_step(batch)
    torch.testing.assert_close(loss, expected[0].mean() / 2)


@pytest.mark.parametrize(("name", "power"), [("mse", 2), ("l1", 1)])
def test_fields_of_different_units_have_equal_shares(name, power):
    some = cases(3)
    for case in some:
        case.y[:, 0] *= 1e6
    made = surrogate()
    made.fit_normalizers(some)
    module = FieldModule(made, loss=LossConfig(name))
    module.trainer = trainer()
    sizes = torch.cat([case.y for case in some]).square().mean(0).sqrt()
    errors = [((made(c) - c.y) / sizes).abs().pow(power).mean(0) for c in some]
    loss = module.training_step(Batch.from_data_list(some))
    torch.testing.assert_close(loss, torch.stack(errors).mean())


def test_averaged_weights_follow_the_closed_form():
    module = FieldModule(surrogate(), ema=0.5, optimizer=OptimizerConfig(lr=1e-1))
    seen = []
    name, parameter = next(iter(module.surrogate.model.named_parameters()))
    step = module.optimizer_step

    def keep(*arguments, **options):
        step(*arguments, **options)
        seen.append(parameter.detach().clone())

    module.optimizer_step = keep
    fit(module, DataLoader(cases(3)), max_epochs=1)
    expected = 0.5 * (0.5 * seen[0] + 0.5 * seen[1]) + 0.5 * seen[2]
    torch.testing.assert_close(module.ema.module.get_parameter(name), expected)
    assert not torch.equal(seen[0], seen[2])


def test_both_sets_of_weights_are_evaluated():
    module = FieldModule(surrogate(), ema=0.9, optimizer=OptimizerConfig(lr=1e-1))
    made = fit(module, DataLoader(cases(3)), max_epochs=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.test(module, DataLoader(cases(4), batch_size=3), verbose=False)
    metrics = {key: float(value) for key, value in made.callback_metrics.items()}
    with torch.no_grad():
        rows = [relative_l2(module.surrogate(c), c.y, [1, 1])[0] for c in cases(4)]
        raw, module.surrogate.model = module.surrogate.model, module.ema.module
        averaged = [relative_l2(module.surrogate(c), c.y, [1, 1])[0] for c in cases(4)]
        module.surrogate.model = raw
    mean = [relative_l2(module.surrogate.y_mean.expand_as(c.y), c.y, [1, 1])[0] for c in cases(4)]
    for prefix, expected in (("test", rows), ("test_ema", averaged), ("test_mean", mean)):
        u, v = torch.stack(expected).mean(0).tolist()
        assert metrics[f"{prefix}_relative_l2_u"] == pytest.approx(u, rel=1e-5)
        assert metrics[f"{prefix}_relative_l2_v"] == pytest.approx(v, rel=1e-5)
        assert metrics[f"{prefix}_relative_l2"] == pytest.approx((u + v) / 2, rel=1e-5)
    assert [row["case"] for row in module.test_cases] == [f"case{i}" for i in range(4)]
    assert module.test_cases[2]["u"] == pytest.approx(float(rows[2][0]), rel=1e-5)
    assert metrics["test_relative_l2"] != metrics["test_ema_relative_l2"]


def test_a_field_that_is_zero_has_no_relative_error():
    some = cases(2)
    some[1].y[:, 1] = 0
    module = FieldModule(surrogate())
    made = trainer()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.test(module, DataLoader(some, batch_size=2), verbose=False)
    with torch.no_grad():
        u, v = relative_l2(module.surrogate(some[0]), some[0].y, [1, 1])[0].tolist()
    assert float(made.callback_metrics["test_relative_l2_v"]) == pytest.approx(v, rel=1e-5)
    assert float(made.callback_metrics["test_relative_l2_u"]) != pytest.approx(u)
    assert math.isnan(module.test_cases[1]["v"])


def test_training_cases_with_a_zero_field_are_refused_for_a_relative_loss():
    some = cases(2)
    some[1].y[:, 1] = 0

    class Data(LightningDataModule):
        def cases(self, stage):
            return some

        def train_dataloader(self):
            return DataLoader(some)

    def train(loss):
        made = surrogate()
        made.training_range = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer(max_epochs=1).fit(FieldModule(made, loss=loss), datamodule=Data())
        return made

    with pytest.raises(ValueError, match="case 'case1': 'v' is zero at every node"):
        train(LossConfig())
    assert train(LossConfig("mse")).training_range.num_nodes == (7, 8)


def test_a_loss_that_is_not_finite_stops_with_step_and_case():
    some = cases(3)
    some[1].y = some[1].y * float("inf")
    module = FieldModule(surrogate())
    with pytest.raises(NotFiniteError, match=r"the loss of step 1 is nan \(cases: case1\)"):
        fit(module, DataLoader(some), max_epochs=1)
    some = cases(2)
    some[1].y = some[1].y * float("nan")
    with pytest.raises(NotFiniteError, match="step 1"):  # at the end of the epoch
        fit(FieldModule(surrogate()), DataLoader(some), max_epochs=1)


def test_dropout_draws_depend_on_the_step_alone():
    """Random numbers drawn before have no effect."""
    module = FieldModule(surrogate())
    module.trainer = trainer()
    batch = Batch.from_data_list(cases())
    drawn = []
    for _ in range(2):
        torch.rand(3)
        module.training_step(batch, 5)
        drawn.append(torch.rand(2))
    assert torch.equal(*drawn)
    module.training_step(batch, 6)
    assert not torch.equal(torch.rand(2), drawn[0])


def test_compiling_changes_no_names():
    plain, compiled = FieldModule(surrogate()), FieldModule(surrogate(), compile=True)
    assert plain.state_dict().keys() == compiled.state_dict().keys()
    assert compiled.surrogate.model._compiled_call_impl is not None


def test_checkpoints_of_other_models_are_refused():
    module, saved = FieldModule(surrogate(), ema=0.9), {}
    fit(module, DataLoader(cases(1)), max_epochs=1)
    module.on_save_checkpoint(saved)
    torch.manual_seed(0)
    other = FLAREOperator(0, 2, hidden_channels=8, num_layers=1, heads=2, num_latents=2)
    other = FieldModule(Surrogate(other, {"u": 1, "v": 1}))
    with pytest.raises(
        ValueError,
        match=r"of another model \(model.hidden_channels is 8 here, 4 in the checkpoint; "
        r"model.heads is 2 here, 1 in the checkpoint; ema is off here, on in the checkpoint\)",
    ):
        other.on_load_checkpoint(saved)
    with pytest.raises(ValueError, match="not written by flare-mesh"):
        other.on_load_checkpoint({"state_dict": {}})


def test_bad_options():
    with pytest.raises(ValueError, match="ema: expected a decay between 0 and 1"):
        FieldModule(surrogate(), ema=1.0)
    with pytest.raises(ValueError, match="shards: expected 1"):
        FieldModule(surrogate(), shards=0)
    with pytest.raises(ValueError, match="derivative"):
        FieldModule(surrogate(), loss=LossConfig(derivative=0.1))


def test_unfitted_normalisers_give_a_warning():
    made = surrogate()
    made.training_range = None
    module = FieldModule(made)
    module.trainer = trainer()
    with pytest.warns(UserWarning, match="normalisers are not fitted"):
        module.setup("fit")


@pytest.mark.parametrize("size", [1e-24, 1e22])
def test_fields_of_any_magnitude_have_a_relative_error(size):
    some = cases(3)
    for case in some:
        case.y = case.y * size
    made = surrogate()
    made.fit_normalizers(some)
    module = FieldModule(made)
    module.trainer = trainer()
    batch = Batch.from_data_list(some)
    loss = module.training_step(batch)
    expected = [relative_l2(made(c).double(), c.y.double(), [1, 1])[0] for c in some]
    torch.testing.assert_close(loss.double(), torch.stack(expected).mean(), rtol=1e-5, atol=0)
    loss.backward()
    gradient = made.model.head.layers[0].weight.grad
    assert float(gradient.abs().max()) > 1e-6


def test_a_vector_keeps_the_share_of_its_components():
    made = FLAREOperator(0, 3, hidden_channels=4, num_layers=1, heads=1, num_latents=2)
    made = Surrogate(made, {"u": 2, "v": 1})
    case = random_graph(50)
    case.y = torch.randn(50, 3) * torch.tensor([1.0, 100.0, 5.0])
    made.fit_normalizers([case])
    scale = case.y.square().mean(0)
    expected = torch.stack([scale[:2].mean(), scale[:2].mean(), scale[2]]).sqrt()
    torch.testing.assert_close(made.y_scale, expected, rtol=1e-5, atol=0)


def test_half_precision_of_everything_is_refused():
    with pytest.raises(ValueError, match="take bf16-mixed"):
        fit(FieldModule(surrogate()), DataLoader(cases(1)), max_epochs=1, precision="bf16-true")


def test_averaged_weights_with_fsdp_are_refused():
    module = FieldModule(surrogate(), ema=0.9)
    strategy = FSDPStrategy.__new__(FSDPStrategy)
    spread = SimpleNamespace(precision="32-true", strategy=strategy)
    module.trainer = spread
    with pytest.raises(ValueError, match="leave model.ema out, or take ddp"):
        module.setup("fit")


def test_a_schedule_without_an_end():
    limits = {"max_epochs": -1, "max_time": {"seconds": 1}}
    with pytest.raises(ValueError, match="needs the length of the run; set budget"):
        fit(FieldModule(surrogate()), DataLoader(cases(1)), **limits)
    constant = FieldModule(surrogate(), schedule=ScheduleConfig("constant"))
    made = fit(constant, DataLoader(cases(1)), **limits)
    assert made.global_step > 1
    assert made.optimizers[0].param_groups[0]["lr"] == 1e-3


def test_a_module_from_a_checkpoint(tmp_path):
    module = FieldModule(surrogate())
    made = fit(module, DataLoader(cases(2)), max_epochs=1)
    made.save_checkpoint(tmp_path / "last.ckpt")
    again = FieldModule.load_from_checkpoint(tmp_path / "last.ckpt", ema=0.9)
    for name, value in module.surrogate.state_dict().items():
        assert torch.equal(again.surrogate.state_dict()[name], value)
    assert again.surrogate.training_range == module.surrogate.training_range


def test_sums_of_a_checkpoint_go_to_the_device_of_the_errors():
    sums = ErrorSums()
    sums.total = torch.zeros(2, 1, dtype=torch.float64)
    sums.add(torch.ones(3, 1, device="meta"), torch.ones(3, 1, device="meta"))
    assert sums.total.device.type == "meta"


@pytest.mark.parametrize(
    ("options", "epochs", "message"),
    [
        ({"optimizer": OptimizerConfig(lr=0.5)}, 2, "model.optimizer.lr is 0.5 here, 0.001 in the"),
        ({}, 3, r"number of steps \(epochs, batches\) is 6 here, 4 in the"),
        ({"schedule": ScheduleConfig(pct_start=0.3)}, 2, "pct_start is 0.3 here, 0.1 in the"),
    ],
)
def test_a_resumed_run_keeps_its_plan(tmp_path, options, epochs, message):
    path = tmp_path / "last.ckpt"
    made = fit(FieldModule(surrogate()), DataLoader(cases(2)), max_epochs=2)
    made.save_checkpoint(path)
    module = FieldModule(surrogate(), **options)
    with pytest.raises(ValueError, match=message):
        fit(module, DataLoader(cases(2)), ckpt_path=path, max_epochs=epochs)
