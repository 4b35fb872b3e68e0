"""Torch on one thread."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Lets torch compute on the calling thread only, for many operations of some 0.1 ms.

    A second thread gains little on them, and where other programs keep the cores busy the threads
    wait for each other at the end of each operation: the whole is 20 times slower.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
