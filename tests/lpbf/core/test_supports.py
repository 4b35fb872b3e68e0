import pytest

from lpbf import Process, Supports


def test_in_a_process(tmp_path):
    assert Process(supports=True).supports == Supports()
    assert Process(supports=False).supports is None
    assert not Process().generates_supports
    assert not Process(supports=Supports(generate=False)).generates_supports
    process = Process(supports=Supports(angle=50, volume_fraction=0.1, order="supports first"))
    process.to_yaml(tmp_path / "process.yaml")
    assert Process.from_yaml(tmp_path / "process.yaml") == process
    assert Process.from_dict({"supports": True}).supports == Supports()
    assert Process.from_dict({"supports": {"offset": 0.5}}).supports == Supports(offset=0.5)


def test_islands_with_supports():
    assert Process(supports=True).choose_islands() == "powder"  # left in the part
    assert Process().choose_islands() == "drop"
    assert Process(supports=Supports(generate=False)).choose_islands("drop") == "drop"
    with pytest.raises(ValueError, match="expected islands or generated supports .*'drop'"):
        Process(supports=True).choose_islands("drop")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"angle": 0.0}, "expected 1 <= angle <= 89 degrees"),
        ({"offset": -1.0}, "expected 0 <= offset"),
        ({"volume_fraction": 0.6}, "expected 0 < volume_fraction <= 0.5"),
        ({"generate": 1}, "expected generate to be True or False"),
        ({"order": "last"}, "unknown order of the supports' removal 'last'"),
        ({"angel": 45.0}, "Supports: unknown field 'angel'"),
    ],
)
def test_bad_values(changes, message):
    with pytest.raises(ValueError, match=message):
        Process.from_dict({"supports": changes})


def test_other_values_in_a_process():
    with pytest.raises(ValueError, match="expected supports as a Supports or None"):
        Process(supports="auto")
