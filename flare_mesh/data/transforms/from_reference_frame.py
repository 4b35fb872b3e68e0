"""Transformation back from a reference frame."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.checks import first_columns, node_field, positions
from flare_mesh.data.transforms.orthogonal import apply_orthogonal
from flare_mesh.nn.graphs import graphs_of

_FRAME = ("frame_origin", "frame_rotation", "frame_scale")


@functional_transform("from_reference_frame")
class FromReferenceFrame(BaseTransform):
    """Inverse of :class:`~flare_mesh.data.transforms.ToReferenceFrame`: ``pos = s R^T pos' + o``.

    The fields may differ from those of the forward transform, and include predictions in the
    reference frame. In a batch each mesh has its own frame.

    Args:
        vectors: First of the columns of each vector, by field.
        tensors: First of the columns of each symmetric tensor, by field.
        lengths: Fields in the unit of the positions.

    Shapes:
        needs ``pos`` [N, d], ``frame_origin`` [B, d], ``frame_rotation`` [B, d, d] and
        ``frame_scale`` [B], with B = 1 without a batch; changes ``pos`` and the given fields, and
        removes the frame.

    Raises:
        ValueError: On access, if the data has no frame or lacks a field.
    """

    def __init__(
        self,
        *,
        vectors: Mapping[str, Sequence[int]] | None = None,
        tensors: Mapping[str, Sequence[int]] | None = None,
        lengths: Sequence[str] = (),
    ) -> None:
        self.vectors = first_columns(vectors, "FromReferenceFrame")
        self.vectors.pop("pos", None)  # always transformed
        self.tensors = first_columns(tensors, "FromReferenceFrame")
        self.lengths = tuple(lengths)

    def forward(self, data: Data) -> Data:
        name = "FromReferenceFrame"
        missing = [key for key in _FRAME if key not in data]
        if missing:
            raise ValueError(f"{name}: expected {missing} (got none); apply ToReferenceFrame first")
        pos = positions(data, name)
        names = {"pos", *self.vectors, *self.tensors, *self.lengths}
        fields = {field: node_field(data, field, name) for field in names}
        graphs = graphs_of(pos, data.batch, batch_size=len(data[_FRAME[0]]))
        parts = [
            self._back(
                Data(**{field: values[start:stop] for field, values in fields.items()}),
                *(data[key][graph] for key in _FRAME),
            )
            for graph, (start, stop) in enumerate(pairwise(graphs.layout.offsets))
        ]
        for field in names:
            data[field] = torch.cat([part[field] for part in parts])
        for key in _FRAME:
            del data[key]
        return data

    def _back(self, mesh: Data, origin: Tensor, rotation: Tensor, scale: Tensor) -> Data:
        back, pos = rotation.double().T, mesh.pos
        assert pos is not None
        mesh.pos = (pos.double() * scale.double() @ back.T + origin.double()).to(pos.dtype)
        apply_orthogonal(mesh, back, self.vectors, self.tensors, "FromReferenceFrame")
        for field in self.lengths:
            mesh[field] = mesh[field] * scale
        return mesh
