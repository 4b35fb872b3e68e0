import json
import math
from dataclasses import asdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Data

from flare_mesh.data.normalizers import IdentityNormalizer
from flare_mesh.data.transforms.channels import Channel
from flare_mesh.surrogate.training_range import TrainingRange
from flare_mesh.surrogate.training_statistics import gather_statistics, merge_statistics


def case(pos, x=None):
    return Data(pos=torch.tensor(pos), x=None if x is None else torch.tensor(x))


def gather(*cases):
    channels = {"pos": 2, "x": 0 if cases[0].x is None else 1, "y": 0}
    normalizers = {key: IdentityNormalizer(size) for key, size in channels.items()}
    return gather_statistics(cases, normalizers)


UNIT = case([[0.0, 0.0], [2.0, 1.0], [1.0, 0.5]], [[10.0], [30.0], [20.0]])


def test_bounds_of_one_case_and_of_several():
    one = TrainingRange.from_case(UNIT)
    assert one.num_nodes == (3, 3)
    assert list(one.pos) == [(0.0, 2.0), (0.0, 1.0)]
    assert list(one.extent) == [(2.0, 2.0), (1.0, 1.0)]
    assert list(one.x) == [(10.0, 30.0)]
    assert TrainingRange.from_statistics(gather(UNIT)) == one
    other = case([[-4.0, 0.0], [-3.0, 5.0]], [[0.0], [1.0]])
    both = TrainingRange.from_statistics(gather(UNIT, other))
    assert both.num_nodes == (2, 3)
    assert list(both.pos) == [(-4.0, 2.0), (0.0, 5.0)]
    assert list(both.extent) == [(1.0, 2.0), (1.0, 5.0)]
    assert list(both.x) == [(0.0, 30.0)]
    parts = [gather(other), gather(UNIT)]
    assert TrainingRange.from_statistics(merge_statistics(parts)) == both


def test_logarithms_and_channels_that_are_not_compared():
    pos = [[0.0, 0.0], [2.0, 1.0]]
    known = TrainingRange.from_case(case(pos, [[math.log(20.0)], [math.log(50.0)]]))
    large = case(pos, [[math.log(20.0)], [math.log(200.0)]])
    found = known.differences(large, [Channel("volume", log=True)])
    assert found == ["volume 20 to 200, trained on 20 to 50"]
    assert known.differences(large, [Channel("volume", log=True, compared=False)]) == []
    # The logarithm of 1 is 0, up to rounding.
    one = TrainingRange.from_case(case(pos, [[0.0], [0.0]]))
    assert one.differences(case(pos, [[1e-7], [0.0]]), [Channel("area", log=True)]) == []


def test_cases_inside_the_range_have_no_differences():
    known = TrainingRange.from_case(UNIT)
    assert known.differences(UNIT) == []
    # A case may exceed the range by a small share of it.
    assert known.differences(case([[0.0, 0.0], [2.05, 1.0]], [[9.5], [30.9]])) == [
        "size along x 2.05, trained on 2"
    ]


def test_differences_are_named():
    known = TrainingRange.from_case(UNIT)
    far = case([[0.0, 0.0], [2.0, 1.0], [1.0, 0.5]], [[10.0], [70.0], [20.0]])
    assert known.differences(far, [Channel("load")]) == ["load 10 to 70, trained on 10 to 30"]
    assert known.differences(far) == ["input channel 0 10 to 70, trained on 10 to 30"]
    moved = case([[5.0, 0.0], [7.0, 1.0], [6.0, 0.5]], [[10.0], [30.0], [20.0]])
    assert known.differences(moved) == ["coordinate x 5 to 7, trained on 0 to 2"]
    many = case([[0.0, 0.0]] * 6 + [[2.0, 1.0]], [[20.0]] * 7)
    assert known.differences(many) == ["7 nodes, trained on 3 to 3"]


def test_names_are_ignored_unless_there_is_one_per_channel():
    known = TrainingRange.from_case(case([[0.0], [1.0]]))
    names = [Channel("made"), Channel("of"), Channel("features")]
    assert known.differences(case([[0.0], [1.0]]), names) == []


def test_rounding_of_constant_values_is_no_difference():
    """A plane at z = 20, with the rounding errors of another program."""
    flat = [[0.0, 0.0, 20.0], [2.0, 0.0, 20.0], [0.0, 3.0, 20.0]]
    known = TrainingRange.from_case(case(flat, [[5.0]] * 3))
    again = case(flat, [[5.0 + 2e-6]] * 3)
    again.pos[1, 2] += 4e-6
    again.pos[:, 0] += 1e-6
    assert known.differences(again) == []
    again.pos[:, 2] += 0.01
    assert known.differences(again) == ["coordinate z 20.01 to 20.01, trained on 20"]


@given(st.lists(st.tuples(st.floats(-9, 9, width=32), st.floats(-9, 9, width=32)), min_size=2))
def test_a_training_case_is_never_outside(points):
    data = case([list(point) for point in points])
    other = case([[1.0, 2.0]] * len(points))
    known = TrainingRange.from_statistics(gather(data, other))
    assert known.differences(data) == []


def test_json_and_back():
    known = TrainingRange.from_case(UNIT)
    again = TrainingRange.from_dict(json.loads(json.dumps(asdict(known))))
    assert again.differences(UNIT) == []
    assert (again.num_nodes, list(again.x)) == (known.num_nodes, list(known.x))


def test_another_dimension_or_other_channels():
    known = TrainingRange.from_case(UNIT)
    with pytest.raises(ValueError, match=r"expected 2 dimensions, as in training \(got 3\)"):
        known.differences(case([[0.0, 0.0, 0.0]], [[1.0]]))
    with pytest.raises(ValueError, match=r"expected 1 channels, as in training \(got 0\)"):
        known.differences(case([[0.0, 0.0]]))
