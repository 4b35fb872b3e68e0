import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """As in the generator's processes: threads only get in the way of each other on small grids."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
