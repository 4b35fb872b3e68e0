import numpy as np
import pytest

from flare_mesh.cases.case_statistics import CaseStatistics, FieldStatistics
from flare_mesh.commands.init_fields import CaseScalar, choose_fields
from flare_mesh.commands.init_settings import choose_settings
from flare_mesh.commands.init_variation import check_variation, describe_left_fields
from flare_mesh.datasets.data_summary import DataSummary


def field(place, largest, smallest=0.0, *, channels=1, finite=True, peaks=1.0, levels=0):
    numbers = {"largest value": largest, "smallest value": smallest}
    values = (largest,) if place == "case" else ()
    positive = smallest > 0
    size = largest, 1, peaks
    return FieldStatistics(place, channels, finite, *size, positive, values, numbers, levels)


def make(fields, count=12, **more):
    """A data set whose fields are ``fields(number)`` in each case."""
    cases = tuple(
        CaseStatistics(str(n), 5, {"quad": 4}, "plane", np.zeros(3), np.ones(3), 1.0, fields(n))
        for n in range(count)
    )
    names = tuple(case.name for case in cases)
    options = {
        "splits": {},
        "fixed_mesh": True,
        "units": {"u": "mm"},
        "training": cases,
        "fixed_fields": frozenset({"wall"}),
        "static_fields": frozenset(),
    } | more
    return DataSummary("results", count, case_names=names, sampled=cases, **options)


def fields(number):
    return {
        "u": field("node", 2.0 + number**2, channels=3),
        "wall": field("node", 1.0),
        "fixed": field("cell", 3.0, 3.0),
        "time": field("case", 7.0 * number + 1, 7.0 * number + 1, channels=2),
        "gap": field("case", 1.0 + number, finite=number != 3),
    }


def scalar(name, values, source="the table", **more):
    return CaseScalar(name, source, {str(n): float(v) for n, v in enumerate(values)}, **more)


LOADS = scalar("load", [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8])


def test_numbers_are_inputs():
    scalars = [
        LOADS,
        scalar("again", LOADS.values.values()),
        scalar("constant", [2] * 12),
        scalar("run", range(12), texts=tuple(map(str, range(12)))),
        scalar("peak", [2 + n**2 for n in range(12)]),
        scalar("pos", LOADS.values.values()),
    ]
    found = choose_fields(make(fields), scalars, "u", None)
    assert (found.inputs, found.targets) == (("load", "time"), ("u",))
    for text in (
        "again (the table): the same as load",
        "constant (the table): 2 in all cases",
        "run (the table): only counts the cases",
        "peak (the table): equal to the largest value of u in each case, so it seems",
        "pos (the table): the name is reserved",
        "wall (node field): the same in all cases",
        "fixed (cell field): the same everywhere, in all cases",
        "gap (case): has NaN or infinite values",
    ):
        assert any(one.startswith(text) for one in found.left_out), text
    asked = choose_fields(make(fields), scalars, ["u"], "peak, run,wall")
    assert asked.inputs == ("load", "run", "peak", "time", "wall")
    # A case without a row in the table hides no result.
    partial = CaseScalar("peak", "the table", {**scalars[4].values})
    del partial.values["3"]
    found = choose_fields(make(fields), [LOADS, partial], "u", None, skip_bad=True)
    assert "peak" not in found.inputs
    # A number in a file name is known before the simulation.
    named = scalar("peak", scalars[4].values.values(), "the file names")
    assert "peak" in choose_fields(make(fields), [named], "u", None).inputs


def test_names_with_commas():
    summary = make(lambda n: {"S, Mises": field("node", 2.0 + n), "u": field("node", 1.0)})
    assert choose_fields(summary, [], "S, Mises", None).targets == ("S, Mises",)
    assert choose_fields(summary, [], ["S, Mises", "u"], None).targets == ("S, Mises", "u")


@pytest.mark.parametrize(
    ("targets", "inputs", "message"),
    [
        (None, None, r"results has u \(node, 3 channels, mm\), wall \(node, 1 channel\), fixed"),
        ("v", None, r"'v': no such field in results; choose from \['fixed', 'u', 'wall'\]"),
        ("load", None, "'load': it is a number of the table in results"),
        ("fixed", None, "'fixed' is constant in all 12 cases"),
        ("u", "u", "'u' is a target too"),
        ("u", "lod", "'lod': no such field or number in results; did you mean 'load'"),
    ],
)
def test_names_that_cannot_be_used(targets, inputs, message):
    with pytest.raises(ValueError, match=message):
        choose_fields(make(fields), [LOADS], targets, inputs)


def test_fields_that_some_cases_lack():
    lacking = make(lambda n: fields(n) if n != 4 else {"wall": field("node", 1.0)})
    with pytest.raises(
        ValueError, match=r"1 of the 12 cases .* lack it with its 3 .* '4'.*skip-bad"
    ):
        choose_fields(lacking, [LOADS], "u", None)
    assert choose_fields(lacking, [LOADS], "u", None, skip_bad=True).inputs == ("load",)
    bad = make(lambda n: {"u": field("node", 2.0 + n, finite=n != 7)})
    with pytest.raises(ValueError, match="have NaN or infinite values of it, such as '7'"):
        choose_fields(bad, [], "u", None)
    twice = [scalar("u", range(12))]
    with pytest.raises(ValueError, match="'u' is a field of the files and a number of the table"):
        choose_fields(make(fields), twice, "u", None)


def test_peaks_are_mentioned():
    summary = make(lambda n: {"u": field("node", 2.0 + n, peaks=200.0)})
    hints = choose_fields(summary, [], "u", None).hints
    assert hints[0].startswith("u has peaks: its 99th percentile is 200 times its median")
    assert "normaliser signed_root" in hints[0]


@pytest.mark.parametrize(
    ("count", "splits", "train", "share"),
    [
        (60, {}, 48, 0.15),
        (20, {}, 16, 0.31),
        (15, {}, 12, 0.33),
        (11, {}, 9, None),
        (60, {"train": 50, "val": 5, "test": 5}, 50, "val"),
        (60, {"train": 50, "test": 10}, 50, 0.15),
    ],
)
def test_cases_held_out(count, splits, train, share):
    settings = choose_settings(make(fields, count, splits=splits), 4)
    assert (settings.num_train, settings.val_split) == (train, share)


def test_memory_and_too_few_cases():
    assert choose_settings(make(fields), 4).in_memory
    assert not choose_settings(make(fields), 10**8).in_memory
    with pytest.raises(ValueError, match=r"expected at least 3 cases.*\(got 2\)"):
        choose_settings(make(fields, 2), 4)


def darcy(number):
    return {
        "u": field("node", 2.0 + number),
        "flux": field("cell", 1.0 + number),
        "coeff": field("node", 12.0 + number % 3, 3.0, levels=2),
        "tag": field("node", 1.0, levels=2),
    }


def test_fields_are_proposed_and_never_taken():
    summary = make(darcy, fixed_fields=frozenset({"tag"}))
    found = choose_fields(summary, [LOADS], "u", None)
    assert found.inputs == ("load",)
    assert describe_left_fields(found.left_fields) == [
        "fields left out, since results must not be inputs: coeff (2 different values), flux; take "
        "one that is known before the simulation by --inputs coeff"
    ]
    assert (
        "coeff (node field): it could be a result; with 2 different values it may be given; if it "
        "is known before the simulation, add it by --inputs coeff" in found.left_out
    )
    own = make(darcy, fixed_mesh=False)
    assert [one.name for one in choose_fields(own, [], "u", "coeff").left_fields] == ["tag", "flux"]
    static = make(darcy, static_fields=frozenset({"flux"}))
    assert static.fields["flux"].hint == "constant over time"


@pytest.mark.parametrize("inputs", [None, "tag", "fixed"])
def test_nothing_that_differs_is_refused(inputs):
    summary = make(darcy, fixed_fields=frozenset({"tag"}))
    numbers = [scalar("fixed", [4] * 12), scalar("run", range(12), texts=("0", "1"))]
    found = choose_fields(summary, numbers, "u", inputs)
    with pytest.raises(
        ValueError, match=r"^results: all .* --inputs, .* choose from coeff \(2 .*\), flux, run$"
    ):
        check_variation(summary, found, numbers)
    check_variation(summary, choose_fields(summary, numbers, "u", "coeff"), numbers)
    check_variation(make(darcy, fixed_mesh=False), found, numbers)
    alone = make(lambda n: {"u": field("node", 2.0 + n)})
    with pytest.raises(ValueError, match="put the numbers that differ between the cases into"):
        check_variation(alone, choose_fields(alone, [], "u", None))


def test_only_training_cases_choose_scales():
    cases = make(lambda n: {"u": field("node", 1.0 + n)}, 12).sampled
    load = scalar("load", [2.0 + 2 * n for n in range(9)] + [7.0, 100.0, 0.1])
    summary = make(lambda n: {"u": field("node", 1.0 + n)}, 12, training=cases[:9])
    assert choose_fields(summary, [load], "u", None).scales["u"].scale == ("load",)
    everything = make(lambda n: {"u": field("node", 1.0 + n)}, 12)
    assert choose_fields(everything, [load], "u", None).scales["u"].scale != ("load",)
