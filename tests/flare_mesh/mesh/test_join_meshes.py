import numpy as np
import pytest

from flare_mesh.mesh.join_meshes import join_meshes


def mesh(num_points=3, cells=1, **fields):
    arrays = {
        "points": np.zeros((num_points, 3)),
        "index": np.tile([0, 1, 2], cells),
        "offset": 3 * np.arange(cells + 1),
        "types": np.full(cells, 5),
    }
    return arrays | {name.replace("_", ":"): np.asarray(v) for name, v in fields.items()}


def test_nodes_are_renumbered_and_fields_joined():
    first = mesh(node_u=[1, 2, 3], cell_k=[4], case_t=[[1]], case_s=[[1]])
    second = mesh(cells=2, node_u=[5, 6, 7], cell_k=[8, 9], case_t=[[1]], case_s=[[2]])
    joined, lost = join_meshes([first, second])
    assert joined["index"].tolist() == [0, 1, 2, 3, 4, 5, 3, 4, 5]
    assert joined["offset"].tolist() == [0, 3, 6, 9]
    assert joined["node:u"].tolist() == [1, 2, 3, 5, 6, 7]
    assert joined["cell:k"].tolist() == [4, 8, 9]
    assert joined["case:t"].tolist() == [[1]]
    assert lost == ["s"]


def test_fields_that_do_not_fit_and_empty_meshes():
    empty = mesh(0, 0)
    vector = mesh(node_u=np.ones((3, 2)))
    joined, lost = join_meshes([empty, vector])
    assert (len(joined["points"]), lost) == (3, [])
    assert join_meshes([mesh(node_u=[1, 2, 3]), vector])[1] == ["u"]
    points_only = mesh(2, 0)
    assert join_meshes([mesh(cell_k=[1]), points_only])[0]["cell:k"].tolist() == [1]
    with pytest.raises(ValueError, match="it has no points"):
        join_meshes([empty])
