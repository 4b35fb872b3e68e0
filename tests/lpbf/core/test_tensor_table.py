import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from lpbf import Table
from lpbf.core.tensor_table import TensorTable


@given(
    temperature=st.lists(st.integers(-200, 3000), min_size=1, max_size=6, unique=True),
    seed=st.integers(0, 1000),
)
def test_agrees_with_the_table(temperature, seed):
    rng = np.random.default_rng(seed)
    table = Table(sorted(temperature), rng.uniform(1, 100, len(temperature)))
    at = np.concatenate([temperature, rng.uniform(-273, 4000, 9)]).reshape(1, -1)
    found = TensorTable(table)(torch.from_numpy(at))
    np.testing.assert_allclose(found, table(at), rtol=1e-12)
