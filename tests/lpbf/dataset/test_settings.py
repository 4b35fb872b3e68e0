import json

import pytest

from lpbf.core.process import Process
from lpbf.dataset.settings import Settings, read_settings


def test_settings_as_json_hold_the_process(tmp_path):
    settings = Settings(pitch=(2.0, 2.0, 1.0), process=Process(scan_rotation=67.0, release=True))
    (tmp_path / "settings.json").write_text(json.dumps(settings.to_dict()))
    found = read_settings(tmp_path)
    assert found == settings.to_dict()
    assert found["pitch"] == [2.0, 2.0, 1.0]
    assert Process.from_dict(found["process"]) == settings.process


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pitch": (1.0, 1.0)}, "expected the pitch as one or three lengths > 0 mm"),
        ({"pitch": (1.0, 1.0, 11.0)}, "1 x 1 x 11 mm have an aspect ratio of 11, over the limit"),
        ({"min_nodes": 9, "max_nodes": 8}, "expected 0 <= min_nodes <= max_nodes = 8 .got 9"),
        ({"max_volume_error": 0.0}, "expected max_volume_error > 0"),
        ({"max_aspect_ratio": 0.5}, "expected max_aspect_ratio >= 1"),
        ({"orientations": 0}, "expected 1 to 24 orientations .got 0"),
        ({"orientations": 25}, "expected 1 to 24 orientations .got 25"),
        ({"scale": (0.0, 1.0)}, "a scale range with 0 < low <= high"),
        ({"scale": (2.0, 1.0)}, "a scale range with 0 < low <= high"),
        ({"max_displacement": 0.0}, "expected max_displacement > 0 mm"),
        ({"max_displacement": float("nan")}, "expected max_displacement > 0 mm"),
        ({"islands": "keep"}, "unknown islands 'keep'; choose from .'drop', 'powder', 'refuse'"),
        (
            {"pitch": (2.0,) * 3, "process": Process(layer_height=3.0)},
            "layer_height = 3.0 mm is not a multiple",
        ),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(ValueError, match=message):
        Settings(**options)


@pytest.mark.parametrize("process", ["drop", "refuse", "powder"])
@pytest.mark.parametrize("islands", ["drop", "refuse", "powder", None])
def test_islands_of_the_settings_and_of_the_process_are_the_same(islands, process):
    settings = Settings(islands=islands, process=Process(islands=process))
    expected = islands or ("powder" if process == "powder" else "drop")
    assert settings.islands == expected
    assert settings.process.islands == expected


def test_aspect_ratio_at_its_limit():
    assert Settings(pitch=(0.1, 0.1, 1.0)).aspect_ratio == pytest.approx(10)


def test_scale_counts_in_the_check_of_the_pitch():
    Settings(pitch=(8.0, 8.0, 8.0)).check_pitch()
    with pytest.raises(ValueError, match="leaves parts of 12 mm without voxels"):
        Settings(pitch=(8.0, 8.0, 8.0), scale=(0.5, 1.0)).check_pitch()
    with pytest.raises(ValueError, match="gives parts of 100 mm up to 8e"):
        Settings(pitch=(0.5, 0.5, 0.5), scale=(1.0, 2.0)).check_pitch()
