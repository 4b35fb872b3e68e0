import numpy as np
import pytest

from flare_mesh.cases.case_statistics import FieldStatistics
from flare_mesh.cases.target_scales import find_result, propose_scale


@pytest.fixture
def inputs():
    draw = np.random.default_rng(0)
    return {
        "load": draw.uniform(1, 10, 48),
        "thickness": draw.uniform(1, 3, 48),
        "length": draw.uniform(50, 80, 48),
        "noise": draw.normal(size=48),
    }


def scale(inputs, size):
    scalars = {name: inputs[name] for name in ("load", "thickness", "noise")}
    return propose_scale(size, scalars, {"extent x": inputs["length"]})


def test_proportional_to_an_input(inputs):
    rest = inputs["length"] ** 3 / inputs["thickness"] ** 2
    wave = np.exp(0.1 * np.sin(5 * inputs["thickness"]) + 0.05 * inputs["noise"])
    found = scale(inputs, inputs["load"] * rest * wave)
    # The rest is a power law of thickness and length.
    assert found.scale == ("load", "power_law")
    assert "load^1.0" in found.evidence or "load^0.9" in found.evidence
    assert scale(inputs, inputs["load"] * wave).scale == ("load",)
    assert "hardly varies" in scale(inputs, 3 * inputs["load"]).evidence
    # A negative load is as good.
    assert scale(inputs | {"load": -inputs["load"]}, inputs["load"] * wave).scale == ("load",)


def test_inputs_of_both_signs(inputs):
    signs = np.where(np.arange(48) % 2, 1.0, -1.0)
    scalars = {"load": signs * inputs["load"]}
    size = 2 * inputs["load"]
    # A displacement turns with its load; the sizes of stresses do not.
    found = propose_scale(size, scalars, {}, [inputs["noise"], -3 * signs * inputs["load"]])
    assert found.scale == ("load",)
    assert propose_scale(size, scalars, {}, [inputs["load"]]).scale == ()


def test_other_exponents_are_a_power_law(inputs):
    size = inputs["load"] ** 1.3 * inputs["length"] ** 2 * np.exp(0.02 * inputs["noise"])
    found = scale(inputs, size)
    assert found.scale == ("power_law",)
    assert "explains 100 %" in found.evidence or "explains 99 %" in found.evidence
    # Proportional to a number that is zero in a case: it cannot be divided by.
    zero = inputs | {"load": np.where(np.arange(48) == 3, 0.0, inputs["load"])}
    assert "load" not in scale(zero, inputs["load"]).scale


def test_no_scale(inputs):
    draw = np.random.default_rng(1)
    assert scale(inputs, draw.uniform(1, 3, 48)).scale == ()
    assert "hardly varies" in scale(inputs, np.full(48, 2.0) + 0.01 * draw.random(48)).evidence
    assert "it is zero in 1 case" in scale(inputs, inputs["load"] - inputs["load"].min()).evidence
    few = {name: values[:5] for name, values in inputs.items()}
    assert "5 cases are too few" in scale(few, few["load"]).evidence


def test_results_among_the_numbers():
    def field(largest):
        numbers = {"largest value": largest, "mean value": largest / 3}
        return FieldStatistics("node", 1, True, 1.0, 1.0, 1.0, True, (), numbers)

    fields = [field(one) for one in (3.0, 7.0, 5.0)]
    assert find_result([3.0001, 7.0, 5.0], fields) == "largest value"
    assert find_result([1.0, 7 / 3, 5 / 3], fields) == "mean value"
    assert find_result([3.01, 7.0, 5.0], fields) is None
    assert find_result([6.0, 14.0, 10.0], fields) is None
    # In another unit, as Pa and MPa.
    assert find_result([3e-6, 7e-6, 5e-6], fields) == "largest value times 1e-06"
    assert find_result([3e-6, 7e-6, 6e-6], fields) is None
    # Rounded, but not an input that is nearly a result.
    rounded = [field(one) for one in (123.44, 0.67894, 5.3)]
    assert find_result([123.4, 0.679, 5.3], rounded) == "largest value"
    assert find_result([123.5, 0.679, 5.3], rounded) is None
    assert find_result([300.0, 301.0, 302.0], [field(one) for one in (300.3, 301.2, 302.4)]) is None
