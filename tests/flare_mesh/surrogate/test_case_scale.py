import json

import pytest
import torch
from torch import nn
from torch_geometric.data import Batch, Data

from flare_mesh import FLAREOperator
from flare_mesh.data.transforms.channels import Channel
from flare_mesh.models import FieldModel
from flare_mesh.surrogate.case_scale import CaseScale
from flare_mesh.surrogate.export import export_program
from flare_mesh.surrogate.rollout import Rollout
from flare_mesh.surrogate.scale_description import describe_scale
from flare_mesh.surrogate.surrogate import Surrogate

INPUTS = {"load": 1, "thickness": 1, "material": 1}
FIELDS = {"displacement": 2, "stress": 1}


class PositionsOnly(FieldModel):
    NAME = "positions_only"

    def __init__(self, in_channels, out_channels, *, pos_dim=3):
        super().__init__(locals())
        self.last = nn.Linear(pos_dim, out_channels)

    def evaluate(self, nodes):
        return self.last(nodes.pos)


def case(load, thickness, material=1.0, *, nodes=12, seed=0):
    """displacement = load^2 thickness^-3 shape, stress = load shape."""
    pos = torch.rand(nodes, 3, generator=torch.Generator().manual_seed(seed))
    x = torch.tensor([[load, thickness, material]]).repeat(nodes, 1)
    shape = torch.cat([pos[:, :2] + 1, pos[:, 2:] + 2], 1)
    y = shape * torch.tensor([load**2 / thickness**3] * 2 + [load])
    return Data(pos=pos, x=x, y=y, case_id=f"case_{seed}_{load:g}")


def cases():
    """All of one shape, with sizes over five decades."""
    values = ((1.0, 0.5), (3.0, 0.1), (10.0, 0.7), (2.0, 0.3), (5.0, 0.2), (7.0, 1.0))
    return [case(load, thickness) for load, thickness in values]


def surrogate(scale_by, model=None, train=None, **options):
    torch.manual_seed(0)
    if model is None:
        model = FLAREOperator(3, 3, hidden_channels=8, num_layers=1, heads=2, num_latents=3)
    made = Surrogate(model, FIELDS, inputs=INPUTS, scale_by=scale_by, **options)
    made.fit_normalizers(train or cases())
    return made


BOTH = {"displacement": "power_law", "stress": "load"}


def test_the_exponents_of_a_closed_form_are_recovered():
    made = surrogate(BOTH)
    law = made.scale.power_laws["displacement"]
    assert law == pytest.approx({"load": 2, "thickness": -3, "material": 0}, abs=1e-3)
    assert [*made.scale.power_laws] == ["displacement"]
    law_line, input_line = describe_scale(made.scale)
    assert law_line == (
        "displacement scales as thickness^-3.00 load^2.00 (explains 100.00 % of the variation of "
        "its size)"
    )
    assert input_line == "stress is divided by load"


def test_the_scale_is_the_size_of_the_field():
    """The root mean square of y / s is 1 in each case, and the normaliser is fitted on y / s."""
    made, some = surrogate(BOTH), cases()
    scaled = [one.y / made.scale(one.x) for one in some]
    for values, one in zip(scaled, some, strict=True):
        assert float(values[:, :2].square().mean()) == pytest.approx(1, rel=1e-4)
        torch.testing.assert_close(values[:, 2], one.pos[:, 2] + 2)
    torch.testing.assert_close(made.y_normalizer.shift, torch.cat(scaled).mean(0))
    y = torch.cat([one.y for one in some])
    torch.testing.assert_close(made.y_mean, y.mean(0))  # in physical units
    torch.testing.assert_close(made.y_scale[2], y[:, 2].square().mean().sqrt())


def test_a_prediction_is_proportional_to_its_scale():
    made = surrogate({"displacement": ["load", "thickness"], "stress": "power_law"},
                     PositionsOnly(3, 3))  # fmt: skip
    one = made.predict(case(2.0, 0.25))
    two = made.predict(case(4.0, 0.25))
    torch.testing.assert_close(two["displacement"], 2 * one["displacement"])
    torch.testing.assert_close(two["stress"], 2 * one["stress"], rtol=1e-4, atol=0)
    negative = made.predict(case(-2.0, 0.25))
    torch.testing.assert_close(negative["displacement"], -one["displacement"])
    assert not made.predict(case(0.0, 0.25))["displacement"].any()


@torch.no_grad()
def test_without_its_scales_a_model_is_proportional_to_them(tmp_path):
    both = {"displacement": ["load", "power_law"], "stress": "load"}
    one, ten = case(3.0, 0.2), case(30.0, 0.2)
    kept, dropped = (surrogate(both, drop_scales=drop).eval() for drop in (False, True))
    assert dropped.scale.power_laws["displacement"]["load"] == 0  # a law of all else
    torch.testing.assert_close(dropped(ten), 10 * dropped(one), rtol=1e-4, atol=1e-6)
    assert float((kept(ten) / kept(one) - 10).abs().max()) > 0.01
    dropped.save(tmp_path)
    assert torch.equal(Surrogate.load(tmp_path).eval()(ten), dropped(ten))
    with pytest.raises(ValueError, match="drop_scales: 'stress' is not divided by 'load' and"):
        surrogate({"displacement": "load"}, drop_scales=True)
    with pytest.raises(ValueError, match="drop_scales: no target is divided by an input; set"):
        surrogate({"displacement": "power_law"}, drop_scales=True)
    with pytest.raises(ValueError, match="drop_scales: there are no scales; set scale_by"):
        surrogate(None, drop_scales=True)


def test_beyond_the_training_cases_a_power_law_is_limited():
    made = surrogate({"stress": "power_law"})
    width = 10.0  # of loads from 1 to 10
    at = {load: float(made.scale(case(load, 0.5).x)[0, 2]) for load in (10, 100, 1e3, 0.0, -4)}
    assert at[100] / at[10] == pytest.approx(width, rel=1e-4)
    assert at[1e3] == at[100]
    assert at[0] == at[-4] == pytest.approx(at[10] / 100, rel=1e-4)


@torch.no_grad()
def test_a_case_depends_neither_on_its_batch_nor_on_chunks_or_order():
    made = surrogate(BOTH).eval()
    some = [case(3.0, 0.2, nodes=9, seed=1), case(8.0, 0.9, nodes=4, seed=2)]
    alone = torch.cat([made(one) for one in some])
    torch.testing.assert_close(made(Batch.from_data_list(some)), alone, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(made(some[0], chunk_size=2), alone[:9], rtol=1e-4, atol=1e-6)
    order = torch.randperm(9)
    mixed = Data(pos=some[0].pos[order], x=some[0].x[order])
    torch.testing.assert_close(made(mixed), alone[:9][order], rtol=1e-4, atol=1e-6)


def test_a_scale_is_saved(tmp_path):
    made = surrogate(BOTH)
    made.save(tmp_path)
    again, one = Surrogate.load(tmp_path), case(4.0, 0.4)
    assert again.scale_by == BOTH
    assert describe_scale(again.scale) == describe_scale(made.scale)
    for name, field in made.predict(one).items():
        assert torch.equal(again.predict(one)[name], field)


def test_a_scale_is_exported(tmp_path):
    made, one = surrogate(BOTH, PositionsOnly(3, 3)), case(4.0, 0.4)
    export_program(made, tmp_path / "field.pt2")
    program = torch.export.load(tmp_path / "field.pt2").module()
    expected = torch.cat([*made.predict(one).values()], 1)
    torch.testing.assert_close(program(pos=one.pos, x=one.x), expected, rtol=1e-4, atol=1e-6)


def test_a_file_without_scales_is_loaded():
    made = surrogate(None)
    header = json.loads(json.dumps(made.header()))
    assert header.pop("scale_by") is None
    old = Surrogate.from_weights(header, made.state_dict())
    assert (old.scale, old.scale_by) == (None, {})


def test_features_are_taken_as_they_are():
    """The channels after the inputs, of which sizes are logarithms already."""
    sizes = torch.tensor([3.0, 4.0, 6.0, 7.0])
    some = [
        Data(x=torch.tensor([[2.0, size]] * 3), y=torch.full((3, 1), float((2 * size).exp())))
        for size in sizes
    ]
    for channels, name, text in (
        ((Channel("load"), Channel("area", log=True)), "area", "area^2.00"),
        ((Channel("load"), Channel("size along x", log=True)), "size along x", "(size along x)^2"),
        ((), "input channel 1", "exp(2 (input channel 1))"),
    ):
        scale = CaseScale({"u": "power_law"}, {"u": 1}, {"load": 1}, 2, channels)
        scale.fit(scale.measure(some))
        assert scale.power_laws["u"][name] == pytest.approx(2, abs=1e-3)
        assert describe_scale(scale)[0].startswith(f"u scales as {text}")


def test_without_features_a_power_law_is_a_constant():
    scale = CaseScale({"u": "power_law"}, {"u": 1}, {}, 0)
    scale.fit(scale.measure([Data(y=torch.full((3, 1), size)) for size in (1.0, 9.0)]))
    assert float(scale()) == pytest.approx(3, rel=1e-6)
    assert "u has a constant scale" in describe_scale(scale)[0]


@pytest.mark.parametrize(
    ("scale_by", "message"),
    [
        ({"strain": "load"}, "unknown field 'strain'"),
        ({"stres": "load"}, "unknown field 'stres'; did you mean 'stress'"),
        ({"stress": "laod"}, "scale_by.stress: unknown input 'laod'; did you mean 'load'"),
        ({"stress": []}, r"scale_by.stress: expected the name of an input, 'power_law', or a list"),
        ({"stress": ["load", "load"]}, r"a list of different ones \(got \['load', 'load'\]\)"),
        ({"stress": "force"}, r"expected an input of one channel \('force' has 2\)"),
    ],
)
def test_bad_options(scale_by, message):
    with pytest.raises(ValueError, match=message):
        CaseScale(scale_by, FIELDS, {"load": 1, "force": 2}, 3)
    with pytest.raises(ValueError, match="inputs of at most 2 in total"):
        CaseScale({"stress": "load"}, FIELDS, {"load": 1, "force": 10**12}, 2)


def test_scales_do_not_go_with_a_rollout():
    model = FLAREOperator(2, 1, hidden_channels=8, num_layers=1, heads=2, num_latents=3)
    steps = Rollout({"T_in": 2}, {"T_out": 2}, 2, 2)
    with pytest.raises(ValueError, match="steps of a rollout have no scale of their own; leave"):
        Surrogate(model, {"T_out": 2}, inputs={"T_in": 2}, rollout=steps, scale_by={"T_out": "k"})


def test_bad_cases():
    some = [*cases(), case(0.0, 0.5)]
    with pytest.raises(ValueError, match="case 'case_0_0': 'load' is zero, and 'stress' cannot be"):
        surrogate({"stress": "load"}, train=some)
    with pytest.raises(ValueError, match="case 'case_0_0': 'displacement' is zero at every node"):
        surrogate({"displacement": "power_law"}, train=some)
    some[-1].x[3, 0] = -2.0
    with pytest.raises(ValueError, match="'load' varies over the case, from -2 to 0, and a scale"):
        surrogate({"stress": "load"}, train=some)
    for scale in ("load", "power_law"):
        with pytest.raises(ValueError, match="case '0': 'load' varies over the case, from -2 to 0"):
            surrogate({"stress": scale}).predict(Data(pos=some[-1].pos, x=some[-1].x))
    with pytest.raises(ValueError, match=r"give a list or a loader \(got an iterator\)"):
        surrogate({"stress": "load"}, train=iter(cases()))
