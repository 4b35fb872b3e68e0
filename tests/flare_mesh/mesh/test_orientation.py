import torch

from flare_mesh.mesh.orientation import count_reversed_edges
from flare_mesh.testing import unit_mesh


def test_reversed_faces():
    _, cells = unit_mesh("triangle6")  # a fan of four
    assert count_reversed_edges(cells) == 0
    faces = cells["triangle6"].clone()
    faces[1] = faces[1][[0, 2, 1, 5, 4, 3]]
    assert count_reversed_edges({"triangle6": faces}) == 2
    assert count_reversed_edges({}) == 0


def test_faces_of_two_types():
    quad, triangle = torch.tensor([[0, 1, 2, 3]]), torch.tensor([[2, 1, 4]])
    assert count_reversed_edges({"quad": quad, "triangle": triangle}) == 0
    assert count_reversed_edges({"quad": quad, "triangle": triangle.flip(1)}) == 1


def test_a_branch_has_no_orientation():
    branch = torch.tensor([[0, 1, 2], [0, 1, 3], [0, 1, 4]])
    assert count_reversed_edges({"triangle": branch}) == 0
    assert count_reversed_edges({"triangle": branch[:2]}) == 1
