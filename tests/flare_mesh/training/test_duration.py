import pytest

from flare_mesh.training.duration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("2h0m5s", 7205),
        ("1.5h", 5400),
        ("12", 12),
        (7, 7),
        (0.5, 0.5),
    ],
)
def test_parse(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "-5m", "5 minutes", "m", "5m1h", "00:05:00", "nan", "inf", -1, True]
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match=r"^budget: expected a duration such as 90s, 5m, 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(8.2, "8s"), (60, "1m"), (150, "2m30s"), (3600, "1h00m"), (3905, "1h05m05s"), (59.7, "1m")],
)
def test_format(seconds, text):
    assert format_duration(seconds) == text
    assert parse_duration(text) == round(seconds)
    assert format_duration(0.012) == "0.012s"
