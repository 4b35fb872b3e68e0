"""Attention of one latent of a trained operator, painted on the mesh."""

from pathlib import Path
from typing import Any

from flare_mesh.analysis import AttentionMaps
from flare_mesh.mesh import MeshData
from flare_mesh.visualize.field_view import plot_field
from flare_mesh.visualize.picture import check_picture_path, finish_view, new_plotter


def plot_attention(
    mesh: MeshData,
    maps: AttentionMaps,
    latent: int,
    *,
    head: int = 0,
    path: str | Path | None = None,
    plotter: Any = None,
    size: tuple[int, int] = (1400, 720),
    **options: Any,
) -> Any:
    """Plot which nodes a latent reads, and which nodes read it, in two views::

        maps = operator_maps(model, x, pos, block=-1)[0]
        plot_attention(mesh, maps, latent=3, path="latent.png")

    The first view has the encode weights times the number of nodes: 1 is the weight of a node if
    all had the same. The second has the decode weights: 1 where a node reads this latent alone.

    Args:
        mesh: The mesh of the graph.
        maps: Its maps, from :func:`~flare_mesh.analysis.operator_maps` or
            :func:`~flare_mesh.analysis.attention_maps`.
        latent: Number of the latent.
        head: Number of the head.
        path: Picture to write; None to return the plotter instead.
        plotter: A ``pyvista.Plotter`` with two views in its first row; None for a new one.
        size: Width and height of a new plotter, pixels.
        options: Options of :func:`plot_field`.

    Returns:
        The plotter; None if a new one was written to ``path``.

    Raises:
        ValueError: If there is no such latent or head, the maps are of another mesh, or as for
            :func:`plot_field`.
    """
    heads, latents, nodes = maps.encode.shape
    for name, number, count in (("head", head, heads), ("latent", latent, latents)):
        if not 0 <= number < count:
            raise ValueError(f"{name}: expected a number from 0 to {count - 1} (got {number})")
    if nodes != mesh.num_nodes:
        raise ValueError(
            f"expected the maps of a mesh of {mesh.num_nodes:,} nodes (got those of {nodes:,})"
        )
    check_picture_path(path)
    painted = MeshData(mesh.pos)
    painted.cell_index, painted.cell_type = mesh.cell_index, mesh.cell_type
    painted["encode"] = nodes * maps.encode[head, latent].float()
    painted["decode"] = maps.decode[head, :, latent].float()
    own = plotter is None
    if own:
        plotter = new_plotter(path, shape=(1, 2), window_size=list(size))
    for column, (name, label) in enumerate(
        (("encode", "encode weight x number of nodes"), ("decode", "decode weight"))
    ):
        plotter.subplot(0, column)
        title = f"latent {latent}, head {head}: {name}"
        plot_field(painted, name, plotter=plotter, title=title, label=label, **options)
    plotter.link_views([0, 1])
    return finish_view(plotter, path, own)
