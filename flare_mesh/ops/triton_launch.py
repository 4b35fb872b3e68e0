"""What launches of Triton kernels on ragged batches have in common."""

from functools import cache

import torch
import triton
from torch import Tensor

_SMS = 132  # of an H100 or H200, for Triton's interpreter
MIN_CHUNK = 256  # nodes; in shorter chunks, partial results cost more than the gain
MAX_SPLITS = 512  # chunks of one graph; rounding to a power of two may double them
_PROGRAMS_PER_SM = 16  # a few waves, so that the last, partly idle one is short
_MAX_PARTIAL = 2**24  # numbers in the partial results, unless SMs would be idle
FUSE = {"enable_fp_fusion": True}  # the default up to Triton 3.9 only


@cache
def _multiprocessors(index: int) -> int:
    return torch.cuda.get_device_properties(index).multi_processor_count


def multiprocessors(tensor: Tensor) -> int:
    """Multiprocessors of the GPU of a tensor."""
    return _multiprocessors(tensor.get_device()) if tensor.is_cuda else _SMS


def chunk_shift(nodes: Tensor, sharing: int, partial: int) -> int:
    """Chunks hold 1 << shift nodes of one graph; more parallelism comes from splitting the nodes.

    Args:
        nodes: A tensor with the nodes in its rows.
        sharing: Programs that share a chunk.
        partial: Numbers in the partial results of a chunk; 0 for none.
    """
    sms = multiprocessors(nodes)
    splits = min(MAX_SPLITS, triton.cdiv(_PROGRAMS_PER_SM * sms, sharing))
    if partial:
        splits = min(splits, max(_MAX_PARTIAL // partial, 2 * sms // sharing, 1))
    return max(MIN_CHUNK, nodes.shape[0] // splits).bit_length() - 1


def strides(tensor: Tensor) -> tuple[int, int]:
    """Strides of nodes and heads; strides of dimensions of size one are arbitrary and replaced."""
    nodes, heads, dim = tensor.shape
    head = tensor.stride(1) if heads > 1 else dim
    return (tensor.stride(0) if nodes > 1 else heads * dim), head


def rows(tensor: Tensor) -> Tensor:
    """The tensor with its last dimension contiguous."""
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def precision() -> str:
    """Triton's name for the precision that torch allows in products of float32 matrices."""
    # Reading the older flag raises if the newer one has been set.
    chosen = getattr(torch.backends.cuda.matmul, "fp32_precision", None)
    if chosen is None:
        return "tf32" if torch.backends.cuda.matmul.allow_tf32 else "ieee"
    return "tf32" if chosen == "tf32" else "ieee"


def sum_blocks(graphs: int, numbers: int) -> dict[str, int | bool]:
    """Many small programs with many chunks at once for few graphs, the opposite for many graphs."""
    if graphs * numbers < 2**18:
        return {"CHUNKS": 64, "BE": 32, **FUSE}
    return {"CHUNKS": 16, "BE": 128, **FUSE}
