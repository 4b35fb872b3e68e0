import pytest
import torch

from lpbf.core.threads import one_thread, over_chunks, threads_for


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


def test_chunks_cover_the_range_and_run_on_one_thread_each(threads):
    threads(2)
    seen = []
    over_chunks(10, 4, lambda start, stop: seen.append((start, stop, torch.get_num_threads())))
    assert sorted(seen) == [(0, 4, 1), (4, 8, 1), (8, 10, 1)]
    assert torch.get_num_threads() == 2
    over_chunks(0, 4, lambda start, stop: seen.append((start, stop, 0)))
    assert len(seen) == 3
