import numpy as np
import pytest

from flare_mesh.io import MeshFileWarning


def assembly(*instances, rest=""):
    return "*Assembly, name=Assembly\n" + "".join(instances) + rest + "*End Assembly\n"


def instance(name, part, data=""):
    return f"*Instance, name={name}, part={part}\n{data}*End Instance\n"


def part(name, keywords):
    return f"*Part, name={name}\n{keywords}*End Part\n"


def test_several_instances_of_a_part(read, brick):
    """A translation first; then a rotation by 90 degrees about an axis along z at (10, 0, 0)."""
    moved = instance("B-2", "B", "10., 0., 0.\n")
    turned = instance("B-3", "B", "10., 0., 0.\n10., 0., 0., 10., 0., 1., 90.\n")
    mesh = read("*Heading\n" + part("B", brick()) + assembly(instance("B-1", "b"), moved, turned))
    assert mesh.num_cells == 3
    np.testing.assert_allclose(mesh.measures, 1, rtol=1e-6)
    centres = [[0.5, 0.5, 0.5], [10.5, 0.5, 0.5], [9.5, 0.5, 0.5]]
    np.testing.assert_allclose(mesh.centroids, centres, atol=1e-6)
    # Node 2 of the part, at (1, 0, 0).
    np.testing.assert_allclose(mesh.pos[[1, 9, 17]], [[1, 0, 0], [11, 0, 0], [10, 1, 0]], atol=1e-6)


def test_rotation_about_any_axis(read, brick):
    """120 degrees about the diagonal take x to y, y to z and z to x."""
    data = "0, 0, 0\n0, 0, 0, 1, 1, 1, 120\n"
    mesh = read(part("B", brick()) + assembly(instance("B-1", "B", data)))
    np.testing.assert_allclose(mesh.pos[[1, 3, 4]], [[0, 1, 0], [0, 0, 1], [1, 0, 0]], atol=1e-6)


def test_parts_with_the_same_numbers(read, brick):
    mesh = read(
        part("Small", brick())
        + part("Large", brick(2, (5, 0, 0)))
        + assembly(instance("S", "Small"), instance("L", "Large"))
    )
    assert mesh.measures.tolist() == pytest.approx([1, 8])
    assert mesh.hexahedron[1].tolist() == [*range(8, 16)]


def test_mesh_of_an_instance(read, brick):
    """The mesh of an instance is moved like that of a part."""
    text = f"*Instance, name=I, part=P\n0, 0, 7\n{brick()}*Nset, nset=Low\n1, 2\n*End Instance\n"
    mesh = read(part("P", "") + assembly(text))
    assert mesh.centroids.tolist() == [[0.5, 0.5, 7.5]]
    assert mesh["I.Low"].tolist() == [1, 1, 0, 0, 0, 0, 0, 0]


def test_sets_of_parts_instances_and_the_assembly(read, brick):
    sets = "*Nset, nset=Low\n1, 2\n*Elset, elset=All\n1\n"
    mesh = read(
        part("B", brick() + sets)
        + part("C", brick(2) + sets)
        + assembly(
            instance("B-1", "B"),
            instance("C-1", "C"),
            instance("B-2", "B", "3, 0, 0\n"),
            rest="*Node\n1, 0, 0, 9\n*Nset, nset=Low, instance=B-2\n8\n*Nset, nset=Tip\n1\n"
            "*Nset, nset=Low, instance=B-1, generate\n7, 8\n*Nset, nset=Mix\nB-2.Low, c-1.5, Tip\n"
            "*Elset, elset=Ends, instance=B-1\n1\n*Elset, elset=Ends, instance=C-1\nAll\n",
        )
        + "*Nset, nset=Model\nAssembly.B-1.Low, Assembly.Tip\n"
    )
    members = {
        name: values.nonzero().ravel().tolist()
        for name, values in {**mesh.node_fields, **mesh.cell_fields}.items()
    }
    assert members == {
        "B.Low": [0, 1, 16, 17],  # on both instances of the part
        "C.Low": [8, 9],
        "Low": [6, 7, 23],  # of the assembly, which has the name for another set
        "Tip": [24],
        "Mix": [12, 16, 17, 24],
        "Model": [0, 1, 24],
        "B.All": [0, 2],
        "C.All": [1],
        "Ends": [0, 1],
    }


def test_sets_added_by_an_instance(read, brick):
    """The sets of the part keep its name where the instance adds others to them."""
    more = "*Nset, nset=High\n5\n"
    mesh = read(
        part("B", brick() + "*Nset, nset=Low\n1, 2\n")
        + assembly(instance("B-1", "B"), instance("B-2", "B", more))
    )
    assert mesh["B.Low"].nonzero().ravel().tolist() == [0, 1, 8, 9]
    assert mesh["B-2.High"].nonzero().ravel().tolist() == [12]
    assert len(mesh.node_fields) == 2


def test_names_that_coincide(read, brick):
    sets = "*Nset, nset=Low\n1\n"
    rest = "*Nset, nset=B.Low, instance=B-1\n2\n"
    with pytest.raises(ValueError, match=r"two sets of nodes with the name 'B\.Low'"):
        read(part("B", brick() + sets) + assembly(instance("B-1", "B"), rest=rest))


def test_springs_between_instances(read, brick):
    springs = "*Element, type=SPRINGA, elset=S\n1, B-1.2, B-2.1\n*Spring, elset=S\n\n1000.\n"
    deck = part("B", brick()) + assembly(
        instance("B-1", "B"), instance("B-2", "B", "3, 0, 0\n"), rest=springs
    )
    with pytest.warns(MeshFileWarning, match="1 SPRINGA"):
        mesh = read(deck)
    assert mesh.num_cells == 2


def test_reference_points_belong_to_no_cell(read, brick):
    rest = "*Node\n1, 0.5, 0.5, 5.\n*Nset, nset=RP\n1,\n"
    mesh = read(part("B", brick()) + assembly(instance("B-1", "B"), rest=rest))
    assert len(mesh.pos) == 9
    assert mesh.pos[8].tolist() == [0.5, 0.5, 5]
    assert mesh.RP.tolist() == [0] * 8 + [1]
    assert mesh.measures.tolist() == pytest.approx([1])


def test_systems_end_with_their_part(read, brick):
    system = "*System\n5, 0, 0\n"
    mesh = read(
        part("A", system + brick())
        + part("B", brick())
        + assembly(instance("A-1", "A"), instance("B-1", "B"))
    )
    assert mesh.centroids[:, 0].tolist() == [5.5, 0.5]


def test_parts_without_instances(read, brick):
    with pytest.warns(MeshFileWarning, match="parts without an instance are left out: Other"):
        mesh = read(part("B", brick()) + part("Other", brick()) + assembly(instance("B-1", "B")))
    assert mesh.num_cells == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("1, 2\n0, 0, 1, 0, 0, 1, 90\n", "line 20: .INSTANCE has an axis whose two points"),
        ("1, 2, 3\n0, 0, 1\n", "line 20: .INSTANCE expected two points of an axis and an angle"),
        ("0, 0, 1, 0, 0, 1, 90\n", "line 20: .INSTANCE expected a translation of 3 numbers"),
        ("1, 2, x\n", "line 21: expected a number .got 'x'"),
    ],
)
def test_positions_with_faults(read, brick, data, message):
    deck = part("B", brick()) + "** ASSEMBLY\n" * 5 + assembly(instance("B-1", "B", data))
    with pytest.raises(ValueError, match=message):
        read(deck)


@pytest.mark.parametrize(
    ("deck", "message"),
    [
        ("{part}", "it has parts, but no .ASSEMBLY with instances"),
        ("{part}*Assembly, name=A\n*End Assembly\n", "it has parts, but no .ASSEMBLY with inst"),
        ("{part}*Assembly, name=A\n*Instance, name=I, part=B\n", "INSTANCE does not end with"),
        ("{part}*Assembly, name=A\n{one}", "line 14: .ASSEMBLY does not end with .END ASSEMBLY"),
        ("*Part, name=B\n{brick}", "line 1: .PART does not end with .END PART: the file is trunc"),
        ("{part}{part}", "line 14: .PART 'B' is defined again; rename it"),
        ("{part}{one}", "line 14: .INSTANCE is outside .ASSEMBLY, where it cannot be"),
        ("*Part, name=B\n*Part, name=C\n", "line 2: .PART is in .PART, where it cannot be"),
        ("{brick}*End Part\n", "line 12: .END PART has no .PART before it"),
        ("*Part\n*End Part\n", "line 1: .PART has no NAME"),
        ("{part}*Assembly\n*Instance, name=I, part=X\n*End Instance\n*End Assembly\n", "part 'X'"),
        ("{part}*Assembly\n*Instance, name=I\n*End Instance\n*End Assembly\n", "has no PART"),
        ("{part}*Assembly\n*Instance, instance=I, library=old\n", "the parameter 'INSTANCE', whi"),
        ("{part}*Assembly\n{one}{one}*End Assembly\n", "line 17: .INSTANCE 'I' is defined again"),
    ],
)
def test_faults(read, brick, deck, message):
    texts = {
        "brick": brick(),
        "part": part("B", brick()),
        "one": instance("I", "B"),
    }
    with pytest.raises(ValueError, match=message):
        read(deck.format(**texts))
