import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flare_mesh.datasets.generators.samples import SampleStack, write_sample


def write(folder, arrays, key="u"):
    files = [folder / f"{i}.npz" for i in range(len(arrays))]
    for file, array in zip(files, arrays, strict=True):
        write_sample(file, {key: array, "other": np.zeros(3)})
    return files


def test_same_arrays_same_bytes(tmp_path):
    one, two = write(tmp_path, [np.arange(5.0)] * 2)
    assert one.read_bytes() == two.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.npz", "1.npz"]


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.integers(1, 70),
    st.integers(1, 2000),
)
@settings(max_examples=15, deadline=None)
def test_chunks_are_the_stack_in_fortrans_order(tmp_path_factory, shape, count, max_bytes):
    arrays = np.random.default_rng(0).standard_normal((count, *shape)).astype(np.float32)
    files = write(tmp_path_factory.mktemp("stack"), arrays)
    stack = SampleStack(files, "u", max_bytes=max_bytes)
    assert stack.shape == arrays.shape
    assert stack.dtype == np.float32
    assert stack.nbytes == arrays.nbytes
    chunks = list(stack.chunks())
    line = max(arrays.nbytes // shape[-1], max_bytes)
    assert all(chunk.flags.f_contiguous and chunk.nbytes <= line for chunk in chunks)
    together = b"".join(chunk.tobytes(order="F") for chunk in chunks)
    assert together == arrays.tobytes(order="F")


def test_samples_that_differ(tmp_path):
    files = write(tmp_path, [np.zeros((2, 3)), np.zeros((2, 4))])
    with pytest.raises(ValueError, match=r"1.npz: expected 'u' of shape \[2, 3\] and type float64"):
        list(SampleStack(files, "u").chunks())
