import pytest

from flare_mesh.data.time_window import TimeWindow


def test_rollout_is_the_window_at_the_beginning():
    window = TimeWindow.from_trajectory(20, (10, 10), "rollout")
    assert (window.num_in, window.num_out, window.starts) == (10, 10, range(1))
    assert TimeWindow.from_trajectory(21, (10, None), "rollout").num_out == 11
    assert window.names("0007") == ["0007"]


def test_windows_begin_wherever_they_fit():
    window = TimeWindow.from_trajectory(20, (10, 1), "windows")
    assert window.starts == range(10)
    assert window.names("a")[9] == "a_t9"
    assert TimeWindow.from_trajectory(20, (2, 3), "windows").names("a")[0] == "a_t00"
    assert TimeWindow.from_trajectory(20, (10, 10), "windows").starts == range(1)


def test_windows_that_do_not_fit():
    for window in ((0, 5), (10, 11), (20, None), (5, 0)):
        with pytest.raises(ValueError, match=r"a.mat: expected a window .* at most 20 together"):
            TimeWindow.from_trajectory(20, window, "rollout", "a.mat")
    with pytest.raises(ValueError, match="unknown mode 'all'; choose from .*'windows'"):
        TimeWindow.from_trajectory(20, (1, 1), "all")


def test_a_window_is_two_numbers():
    with pytest.raises(ValueError, match=r"two numbers, the steps in and the steps out \(got \[2"):
        TimeWindow.from_trajectory(5, [2], "windows", "series")
