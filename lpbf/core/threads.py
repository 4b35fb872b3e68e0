"""How many threads torch, and the compiled loops with it, compute on."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

# Cells of a part from which on a second thread saves more than it costs.
_MANY_CELLS = 16_384


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


def threads_for(num_cells: int) -> AbstractContextManager[None]:
    """One thread for a small part, and as many as torch has for a large one."""
    return nullcontext() if num_cells >= _MANY_CELLS else one_thread()
