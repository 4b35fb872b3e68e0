"""Number of threads of torch and of the compiled loops."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from flare_mesh.compiled.threads import run

# Number of cells from which a second thread saves more than it costs.
_MANY_CELLS = 16_384


@contextmanager
def one_thread() -> Iterator[None]:
    """Restrict torch to the calling thread, for many operations of about 0.1 ms.

    A second thread gains little on them. If other programs use the cores, threads wait for each
    other at the end of each operation, which is up to 20 times slower.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def threads_for(num_cells: int) -> AbstractContextManager[None]:
    """Restrict torch to one thread for a small part; leave its threads for a large one."""
    return nullcontext() if num_cells >= _MANY_CELLS else one_thread()


def over_chunks(count: int, chunk: int, work: Callable[[int, int], object]) -> None:
    """Call work(start, stop) for the chunks of a range, on as many threads as torch uses.

    Each call runs on one thread, so that its result does not depend on their number. Threads wait
    for each other once, at the end.

    Args:
        count: Length of the range.
        chunk: Largest length of a chunk.
        work: Torch operations whose results do not depend on those of other chunks.
    """
    threads = torch.get_num_threads()
    with one_thread():
        run([*range(0, count, chunk), count], work, threads)
