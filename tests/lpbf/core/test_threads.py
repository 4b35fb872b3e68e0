import pytest
import torch

from lpbf.core.threads import one_thread, threads_for


def test_the_number_of_threads_is_restored():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with pytest.raises(KeyError), one_thread():
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_small_parts_take_one_thread():
    before = torch.get_num_threads()
    with threads_for(1000):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    with threads_for(100_000):
        assert torch.get_num_threads() == before
