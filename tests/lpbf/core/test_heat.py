import pytest

from lpbf.core.heat import Heat


def test_time_steps_grow_and_fill_the_duration():
    steps = Heat(time_steps=5, growth=2.0).steps(31.0)
    assert steps == pytest.approx([1, 2, 4, 8, 16])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"deposition_temperature": -300}, "deposition_temperature.* C"),
        ({"preheat": None}, "preheat"),
        ({"preheat": float("nan")}, "preheat"),
        ({"gas_temperature": "warm"}, "gas_temperature.*'warm'"),
        ({"powder_temperature": -273.15}, "powder_temperature"),
        ({"dwell_time": 0}, "0 < dwell_time .* s"),
        ({"cooling_time": -1}, "cooling_time"),
        ({"powder_coefficient": -1}, "powder_coefficient.*W/"),
        ({"gas_coefficient": float("inf")}, "gas_coefficient"),
        ({"plate_coefficient": 0}, "plate_coefficient"),
        ({"growth": 0.9}, "1 <= growth"),
        ({"time_steps": 0}, "1 <= time_steps <= "),
        ({"time_steps": True}, "time_steps"),
        ({"time_steps": 50, "growth": 2.0}, "growth.time_steps <= 1e12 "),
        ({"thermal_strain": 1}, "thermal_strain"),
        ({"time_order": 3}, "whole number 1 <= time_order <= 2 .got 3"),
        ({"plate_heat_capacity": 0}, "0 < plate_heat_capacity .* J/K"),
        ({"plate_loss": -1}, "plate_loss .* W/K"),
        ({"plate_loss": 3}, "a plate_heat_capacity with the plate_loss of 3 W/K .got none"),
    ],
)
def test_values_out_of_range(values, message):
    with pytest.raises(ValueError, match=message):
        Heat(**values)
