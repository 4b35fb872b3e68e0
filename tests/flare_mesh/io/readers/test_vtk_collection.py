import numpy as np
import pytest
import pyvista

from flare_mesh.io import MeshFileWarning, read_mesh


def collection(folder, *names, name="m.vtm"):
    """A collection of blocks, or of pieces, as "VTK XML File Formats" describes it."""
    if name.endswith(".vtm"):
        entries = [f'<DataSet index="{i}" file="{file}"/>' for i, file in enumerate(names)]
        inner = f"<vtkMultiBlockDataSet>{''.join(entries)}</vtkMultiBlockDataSet>"
        kind = "vtkMultiBlockDataSet"
    else:
        entries = [f'<Piece Source="{file}"/>' for file in names]
        inner = f"<PUnstructuredGrid>{''.join(entries)}</PUnstructuredGrid>"
        kind = "PUnstructuredGrid"
    path = folder / name
    path.write_text(f'<?xml version="1.0"?>\n<VTKFile type="{kind}">{inner}</VTKFile>\n')
    return path


def block(folder, name, shift=0.0, **fields):
    grid = pyvista.ImageData(dimensions=(2, 2, 2), origin=(shift, 0, 0))
    mesh = grid if name.endswith(".vti") else grid.cast_to_unstructured_grid()
    mesh.clear_data()
    for key, value in fields.items():
        mesh[key] = value + np.arange(8.0)
    mesh.cell_data["k"] = [shift]
    mesh.save(folder / name)
    return name


@pytest.mark.parametrize("name", ["m.vtm", "m.pvtu"])
def test_blocks_are_joined_in_their_order(tmp_path, name):
    (tmp_path / "m 1").mkdir()
    names = [block(tmp_path, "a.vtu", u=1), block(tmp_path, "m 1/b.vtu", 5.0, u=2)]
    mesh = read_mesh(collection(tmp_path, *names, name=name))
    assert mesh.u.tolist() == [*range(1, 9), *range(2, 10)]
    assert mesh.hexahedron[1].tolist() == (mesh.hexahedron[0] + 8).tolist()
    assert mesh.pos[8].tolist() == [5, 0, 0]
    assert mesh.cell_k.tolist() == [0, 5]


def test_blocks_of_several_formats(tmp_path):
    names = [block(tmp_path, "a.vtu", u=1), block(tmp_path, "b.vti", 5.0, u=2)]
    inner = collection(tmp_path, names[1], name="inner.vtm")
    mesh = read_mesh(collection(tmp_path, names[0], inner.name))
    assert mesh.measures.tolist() == [1, 1]
    assert mesh.cell_k.tolist() == [0, 5]


def test_fields_of_some_blocks(tmp_path):
    names = [block(tmp_path, "a.vtu", u=1, v=1), block(tmp_path, "b.vtu", 5.0, u=2)]
    with pytest.warns(MeshFileWarning, match=r"m\.vtm: the fields \['v'\] are not read"):
        mesh = read_mesh(collection(tmp_path, *names))
    assert set(mesh.node_fields) == {"u"}


def test_damage_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"m\.vtm: .*refers to 'a\.vtu', which is missing"):
        read_mesh(collection(tmp_path, "a.vtu"))
    with pytest.raises(ValueError, match=r"m\.vtm: .*names 'm\.vtm' twice"):
        read_mesh(collection(tmp_path, "m.vtm"))
    block(tmp_path, "a.vtu")
    with pytest.raises(ValueError, match=r"m\.vtm: .*names 'a\.vtu' twice"):
        read_mesh(collection(tmp_path, "a.vtu", "a.vtu"))
    for number in range(5):
        path = collection(
            tmp_path, f"{number - 1}.vtm" if number else "a.vtu", name=f"{number}.vtm"
        )
    with pytest.raises(ValueError, match="expected at most 3 collections in one another"):
        read_mesh(path)
    with pytest.raises(ValueError, match="it has no points"):
        read_mesh(collection(tmp_path))


@pytest.mark.parametrize("cut", ["m.vtm", "a.vtu", "b.vti"])
def test_cuts(tmp_path, refuse_cuts, cut):
    names = [block(tmp_path, "a.vtu", u=1), block(tmp_path, "b.vti", 5.0, u=2)]
    path = collection(tmp_path, *names)
    refuse_cuts(path, tmp_path / cut)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("suffix", [".vti", ".vtr", ".vts"])
def test_cuts_of_grids(tmp_path, refuse_cuts, suffix, binary):
    axis = np.linspace(0, 1, 4)
    mesh = {
        ".vti": pyvista.ImageData(dimensions=(4, 4, 4)),
        ".vtr": pyvista.RectilinearGrid(axis, axis, axis),
        ".vts": pyvista.StructuredGrid(*np.meshgrid(axis, axis, axis, indexing="ij")),
    }[suffix]
    mesh["u"] = np.arange(64.0)
    mesh.save(tmp_path / f"m{suffix}", binary=binary)
    refuse_cuts(tmp_path / f"m{suffix}")
