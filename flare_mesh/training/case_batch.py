"""Batch of cases, without PyG's general collation."""

from collections.abc import Sequence
from typing import Any

import torch
from torch_geometric.data import Batch, Data

NODE_FIELDS = ("pos", "x", "y", "weight")


def batch_cases(cases: Sequence[Data], weights: Sequence[float]) -> Data:
    """``Batch.from_data_list`` for the fields of :class:`Cases`, in a quarter of the time.

    Args:
        cases: Cases with ``pos``, and any of ``x``, ``y``, ``weight``, ``edge_index`` and
            ``case_id``, the same in all.
        weights: ``case_weight`` of each case.
    """
    keys = cases[0].keys()
    sizes = [len(case["pos"]) for case in cases]
    ptr, count = _offsets(sizes), torch.arange(len(cases) + 1)
    zero = torch.zeros(len(cases), dtype=torch.long)
    # PyG takes a batch apart by the offset of each case, and by the increment of its indices.
    slices, increments = {}, {}
    out: Any = Batch()
    for key in (*NODE_FIELDS, "edge_index", "case_id"):
        if key not in keys:
            continue
        values = [case[key] for case in cases]
        slices[key], increments[key] = ptr, zero
        if key == "case_id":
            out[key], slices[key] = values, count
        elif key == "edge_index":
            slices[key] = _offsets([edges.shape[1] for edges in values])
            increments[key] = ptr[:-1]
            parts = [edges + start for edges, start in zip(values, ptr.tolist(), strict=False)]
            out[key] = torch.cat(parts, dim=1)
        else:
            out[key] = torch.cat(values)
    out.case_weight = torch.tensor(weights)
    slices["case_weight"], increments["case_weight"] = count, zero
    out.batch = torch.repeat_interleave(torch.tensor(sizes), output_size=sum(sizes))
    out.ptr = ptr
    out._num_graphs, out._slice_dict, out._inc_dict = len(cases), slices, increments
    return out


def _offsets(sizes: Sequence[int]) -> torch.Tensor:
    return torch.tensor([0, *sizes]).cumsum(0)
