"""Procedural parts: sound, printable, within size, reproducible and varied."""

from itertools import pairwise

import manifold3d
import numpy as np
import pytest
import trimesh

from lpbf.core.part_families import FAMILIES
from lpbf.core.procedural_part import procedural_part

NAMES = (
    "plate",
    "bracket",
    "tube",
    "channel",
    "arch",
    "ribs",
    "shaft",
    "block",
    "flange",
)
SEEDS = range(6)


def fill(mesh: trimesh.Trimesh) -> float:
    """Volume as a fraction of the bounding box."""
    return float(mesh.volume / np.prod(mesh.extents))


def walls(mesh: trimesh.Trimesh, count: int) -> np.ndarray:
    """Thickness below `count` surface points, where the far side is parallel."""
    starts, faces = trimesh.sample.sample_surface(mesh, count, seed=0)
    rays = -mesh.face_normals[faces]
    corner = mesh.triangles[:, 0]
    edge_1, edge_2 = mesh.triangles[:, 1] - corner, mesh.triangles[:, 2] - corner
    across = np.cross(rays[:, None], edge_2)
    offset = starts[:, None] - corner
    turned = np.cross(offset, edge_1)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1.0 / np.einsum("fk,rfk->rf", edge_1, across)
        u = scale * np.einsum("rfk,rfk->rf", offset, across)
        v = scale * np.einsum("rk,rfk->rf", rays, turned)
        distance = scale * np.einsum("fk,rfk->rf", edge_2, turned)
        hit = np.isfinite(scale) & (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 1e-6)
    distance = np.where(hit, distance, np.inf)
    far = distance.argmin(axis=1)
    parallel = np.einsum("rk,rk->r", mesh.face_normals[far], rays) > 0.95
    nearest = distance.min(axis=1)
    return nearest[parallel & np.isfinite(nearest)]


def sections(mesh: trimesh.Trimesh, heights: np.ndarray) -> list[manifold3d.CrossSection]:
    """Exact horizontal cross-sections."""
    arrays = mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32)
    solid = manifold3d.Manifold(manifold3d.Mesh(*arrays))
    return [solid.slice(height) for height in heights]


def islands(mesh: trimesh.Trimesh, layers: int = 40) -> int:
    """Layer regions that touch nothing in the layer below."""
    heights = (np.arange(layers) + 0.5) * mesh.extents[2] / layers
    return sum(
        (region ^ below).is_empty()
        for below, above in pairwise(sections(mesh, heights))
        for region in above.decompose()
    )


def test_families() -> None:
    assert tuple(FAMILIES) == NAMES


@pytest.mark.parametrize("family", NAMES)
@pytest.mark.parametrize("seed", SEEDS)
def test_part_is_one_sound_body_in_place(family: str, seed: int) -> None:
    part = procedural_part((seed, 1), family)
    assert part.is_watertight
    assert part.is_winding_consistent
    assert part.body_count == 1
    assert part.volume > 0.0
    assert 24.0 <= part.extents.max() <= 50.0
    assert part.bounds[0, 2] == 0.0
    np.testing.assert_allclose(part.bounds[:, :2].sum(axis=0), 0.0, atol=1e-9)
    assert part.metadata["family"] == family


@pytest.mark.parametrize("family", NAMES)
def test_walls_can_be_voxelised(family: str) -> None:
    # Small parts are the hard case: the thinnest wall is then the largest fraction.
    thinnest = [
        walls(procedural_part((seed, 2), family, size=(24.0, 28.0)), 150).min() for seed in SEEDS
    ]
    assert min(thinnest) >= 3.4
    assert min(thinnest) <= 7.0, "the family never makes a thin wall"


@pytest.mark.slow
@pytest.mark.parametrize("family", NAMES)
def test_no_layer_starts_in_mid_air(family: str) -> None:
    assert [islands(procedural_part((seed, 3), family)) for seed in range(16)] == [0] * 16


def test_the_island_check_sees_an_island() -> None:
    post = trimesh.creation.box(bounds=[[0, 0, 0], [5, 5, 30]])
    arm = trimesh.creation.box(bounds=[[0, 0, 25], [30, 5, 30]])
    drop = trimesh.creation.box(bounds=[[25, 0, 15], [30, 5, 30]])
    hook = trimesh.boolean.union([post, arm, drop], engine="manifold")
    assert islands(hook) == 1


@pytest.mark.slow
def test_every_default_draw_is_plausible_and_all_families_occur() -> None:
    parts = [procedural_part(seed) for seed in range(200)]
    fills = np.array([fill(part) for part in parts])
    assert ((fills > 0.05) & (fills < 1.0 - 1e-6)).all()
    # Both open and compact parts, and sizes over the whole range.
    assert np.quantile(fills, 0.1) < 0.45
    assert np.quantile(fills, 0.9) > 0.75
    extents = np.array([part.extents.max() for part in parts])
    assert extents.min() < 27.0
    assert extents.max() > 47.0
    assert {part.metadata["family"] for part in parts} == set(NAMES)
    # Through-holes raise the genus; most parts should have at least one.
    assert np.mean([part.euler_number < 2 for part in parts]) > 0.5


def test_rings_are_upright_and_lying() -> None:
    # Just above the floor, the centre of a lying ring is wall, that of an upright one is bore.
    dot = manifold3d.CrossSection.square((0.1, 0.1), True)
    floors = [sections(procedural_part(seed, "tube"), np.array([1.0]))[0] for seed in range(12)]
    assert {(floor ^ dot).is_empty() for floor in floors} == {True, False}


@pytest.mark.parametrize("family", [None, *NAMES])
def test_same_seed_gives_identical_arrays(family: str | None) -> None:
    first, second = (procedural_part((7, 3, 0), family) for _ in range(2))
    assert np.array_equal(first.vertices, second.vertices)
    assert np.array_equal(first.faces, second.faces)


def test_seeds_and_generator_state_matter() -> None:
    parts = [procedural_part((5, index), "block") for index in range(10)]
    assert len({part.vertices.tobytes() for part in parts}) == 10
    rng = np.random.default_rng(4)
    first, second = procedural_part(rng, "plate"), procedural_part(rng, "plate")
    assert not np.array_equal(first.extents, second.extents)
    assert np.array_equal(first.vertices, procedural_part(4, "plate").vertices)


@pytest.mark.parametrize("size", [(10.0, 12.0), (30.0, 30.0), (80.0, 120.0)])
def test_other_sizes_hold_and_stay_sound(size: tuple[float, float]) -> None:
    for family in NAMES:
        part = procedural_part(11, family, size=size)
        assert size[0] - 1e-9 <= part.extents.max() <= size[1] + 1e-9
        assert part.is_watertight
        assert part.body_count == 1


def test_unknown_family_is_named_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"unknown family 'teapot'; choose from .*'tube'"):
        procedural_part(0, "teapot")


@pytest.mark.parametrize(
    "size", [(0.0, 10.0), (-5.0, 10.0), (30.0, 20.0), (10.0, float("inf")), (float("nan"), 10.0)]
)
def test_bad_size_is_named(size: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"a size .low, high. with 0 < low <= high mm .got \("):
        procedural_part(0, size=size)
