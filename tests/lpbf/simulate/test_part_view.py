import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lpbf import HexMesh, Process
from lpbf.core.base_plate import BasePlate
from lpbf.core.stress import von_mises
from lpbf.mechanics.build import PART, make_build
from lpbf.mechanics.build_steps import BuildStep
from lpbf.simulate.part_view import PartView, built, nodal_mean
from lpbf.simulate.run_steps import BuildState


@settings(deadline=None, max_examples=25)
@given(hnp.arrays(bool, (3, 2, 3)).filter(np.any), st.sampled_from([(), (1,), (6,)]))
def test_nodal_mean(mask, shape):
    mesh = HexMesh.from_mask(mask, 1.0)
    values = np.random.default_rng(0).normal(size=(mesh.num_cells, *shape))
    found = nodal_mean(mesh.cells, values)
    assert found.shape == (mesh.num_nodes, *shape)
    for node in range(mesh.num_nodes):
        around = (mesh.cells == node).any(axis=1)
        np.testing.assert_allclose(found[node], values[around].mean(axis=0), atol=1e-14)


def test_nodes_without_a_cell_have_zero():
    cells = np.array([[0, 1, 2, 3, 5, 6, 7, 8]])
    np.testing.assert_array_equal(nodal_mean(cells, np.ones(1)), [1, 1, 1, 1, 0, 1, 1, 1, 1])


def tee():
    """A post with an arm to each side: one unsupported, one over a second post."""
    mask = np.zeros((5, 2, 6), dtype=bool)
    mask[2] = True
    mask[3:, :, 4:] = True
    mask[4, :, :3] = True
    mask[0, :, 3:] = True  # unsupported, joined at the top
    mask[:, :, 5] = True
    return HexMesh.from_mask(mask, (1.0, 1.5, 0.5), origin=(3.0, 0.0, 2.0))


def build_of(rows=1, **process):
    return make_build(tee(), Process(layer_height=0.5 * rows, islands="powder", **process))


PLATE = BasePlate(thickness=1.0, margin=1.0)


def random_state(build):
    generator = torch.Generator().manual_seed(0)
    displacement, at_activation = torch.randn(
        2, build.mesh.num_nodes, 3, generator=generator
    ).double()
    return BuildState(displacement, at_activation)


def test_the_part_alone():
    build = build_of(2, base_plate=PLATE)
    alone, _ = built(build)
    assert alone.mesh is build.part
    assert alone.num_layers == 1
    assert alone.layer_cells(0) == slice(0, build.part.num_cells)
    assert (alone.cell_kind == PART).all()
    assert len(alone.cell_kind) == build.part.num_cells
    assert alone.cell_stiffness is None
    assert (alone.cell_strain == 0).all()
    np.testing.assert_array_equal(alone.part_nodes, np.arange(build.part.num_nodes))
    assert build.num_layers == 3
    assert len(build.cell_kind) > len(alone.cell_kind)


def test_displacements_count_from_the_first_layer_of_the_part():
    """Nodes that powder of an earlier layer activates have moved before the part's layer."""
    for rows in (1, 2, 3):
        for plate in (None, PLATE):
            build = build_of(rows, base_plate=plate)
            state = random_state(build)
            found = PartView(build).displacement(state)
            mesh = build.part
            whole = {tuple(p): n for n, p in enumerate(np.round(build.mesh.points, 6))}
            layer = build.cell_layer
            seen = 0
            for node, point in enumerate(np.round(mesh.points, 6)):
                number = whole[tuple(point)]
                around = (build.mesh.cells == number).any(axis=1)
                first, own = layer[around].min(), layer[around & build.is_part].min()
                expected = state.displacement[number].clone()
                if own > first:
                    expected -= state.at_activation[number]
                    seen += 1
                np.testing.assert_array_equal(found[node], expected)
            assert (seen > 0) == (rows != 2)  # a layer ends below the unsupported voxels


def test_rise_of_the_top():
    build = build_of(2)
    view, state = PartView(build), random_state(build)
    moved, mesh = view.displacement(state), build.part
    for layer, top in enumerate([1, 2, 3]):
        cells = mesh.cell_index[:, 2] == 2 * top - 1
        nodes = np.unique(mesh.cells[cells, 4:])
        assert (mesh.points[nodes, 2] == 2.0 + top).all()
        assert view.top_rise(layer, state) == moved[nodes, 2].max()


def test_state_after_a_layer():
    build = build_of(2, base_plate=PLATE)
    view, state, mesh = PartView(build), random_state(build), build.part
    count = build.layer_cells(1).stop
    generator = torch.Generator().manual_seed(1)
    stress = torch.randn(count, 6, generator=generator, dtype=torch.float64)
    own = int(build.is_part[:count].sum())
    temperature = torch.rand(own, generator=generator, dtype=torch.float64)
    step = BuildStep(1, "layer 1", torch.zeros(count, 6))
    found = view.layer_state(step, state, stress, temperature)
    assert (found.layer, found.name, found.height) == (1, "layer 1", 2.0)
    assert found.num_cells == own == (mesh.cell_index[:, 2] < 4).sum()
    cells = mesh.cells[:own]
    assert found.num_nodes == cells.max() + 1
    np.testing.assert_array_equal(
        found.displacement, view.displacement(state)[: found.num_nodes].astype(np.float32)
    )
    expected = nodal_mean(cells, stress.numpy()[build.is_part[:count]])
    np.testing.assert_allclose(found.von_mises, von_mises(expected), rtol=1e-6)
    np.testing.assert_allclose(found.temperature, nodal_mean(cells, temperature.numpy()), rtol=1e-6)
    uniform = view.layer_state(step, state, stress, 80.0)
    assert (uniform.temperature == 80).all()


def test_state_after_the_last_step():
    build = build_of()
    stress = torch.ones(build.mesh.num_cells, 6, dtype=torch.float64)
    step = BuildStep(None, "cooling", torch.zeros(build.mesh.num_cells, 6))
    found = PartView(build).layer_state(step, random_state(build), stress, 25.0)
    assert (found.layer, found.name, found.height) == (5, "cooling", 3.0)
    assert (found.num_cells, found.num_nodes) == (build.part.num_cells, build.part.num_nodes)


def test_a_layer_of_powder_only_has_no_top():
    mask = np.ones((1, 1, 4), dtype=bool)
    mask[:, :, 1] = False
    build = make_build(HexMesh.from_mask(mask, 1.0), Process(islands="powder"))
    view = PartView(build)
    assert np.isnan(view.top_rise(1, random_state(build)))
    assert not np.isnan(view.top_rise(2, random_state(build)))
