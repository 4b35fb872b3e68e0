"""The authors' FLARE as a model of ``flare-mesh fit``, see ``benchmarks/against_reference.py``."""

from pathlib import Path

from flare_mixing import load_authors
from torch import Tensor

from flare_mesh.models import FieldModel
from flare_mesh.models.nodes import Nodes


class ReferenceFLARE(FieldModel):
    """The model of a checkout of vpuri3/FLARE.py, for meshes with equal numbers of nodes."""

    NAME = "reference_flare"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pos_dim: int = 3,
        hidden_channels: int = 64,
        num_layers: int = 8,
        heads: int = 8,
        num_latents: int = 64,
        folder: str,
    ) -> None:
        super().__init__(locals())
        self.net = load_authors(Path(folder)).FLAREModel(
            in_channels + pos_dim,
            out_channels,
            hidden_channels,
            num_layers,
            heads,
            num_latents=num_latents,
        )

    def evaluate(self, nodes: Nodes) -> Tensor:
        features = nodes.features()
        out = self.net(features.view(nodes.graphs.layout.num_graphs, -1, features.shape[1]))
        return (out[0] if isinstance(out, tuple) else out).reshape(len(features), -1)
