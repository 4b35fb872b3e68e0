import numpy as np
import pytest
import torch

from flare_mesh.datasets.generators.darcy import solve_darcy
from flare_mesh.datasets.generators.random_field import periodic_field
from flare_mesh.datasets.generators.recipe import Sample
from flare_mesh.datasets.generators.recipes import (
    DarcyRecipe,
    ElasticityRecipe,
    NavierStokesRecipe,
)
from flare_mesh.datasets.generators.unit_cell import UnitCell
from flare_mesh.datasets.generators.vorticity import VorticityFlow

FLOW = {"solver_resolution": 16, "resolution": 8, "final_time": 2, "dt": 0.05}


@pytest.mark.parametrize("recipe", [DarcyRecipe, NavierStokesRecipe, ElasticityRecipe])
def test_files_of_the_published_sets(recipe):
    targets = recipe().targets()
    assert [(target.path, len(target.samples)) for target in targets] == {
        "darcy": [
            ("piececonst_r421_N1024_smooth1.mat", 1024),
            ("piececonst_r421_N1024_smooth2.mat", 1024),
        ],
        "navier-stokes": [("NavierStokes_V1e-5_N1200_T20.mat", 1200)],
        "elasticity": [
            (f"elasticity/Meshes/Random_UnitCell_{key}_10.npy", 2000)
            for key in ("sigma", "XY", "rr", "theta")
        ],
    }[recipe.name]


def test_darcy_samples_in_both_files():
    recipe = DarcyRecipe(num=1200)
    assert [target.path for target in recipe.targets()] == [
        "piececonst_r421_N1000_smooth1.mat",
        "piececonst_r421_N200_smooth2.mat",
    ]
    assert recipe == DarcyRecipe(num_train=1000, num_test=200)
    assert [sum(DarcyRecipe(num=n).counts().values()) for n in (2, 3, 7)] == [2, 3, 7]


@pytest.mark.parametrize(
    ("viscosity", "text"), [(1e-5, "1e-5"), (1e-3, "1e-3"), (2.5e-4, "2.5e-4"), (0.0, "0e0")]
)
def test_viscosity_in_the_name(viscosity, text):
    (target,) = NavierStokesRecipe(viscosity=viscosity).targets()
    assert target.path == f"NavierStokes_V{text}_N1200_T20.mat"


SMALL = [
    DarcyRecipe(resolution=17),
    NavierStokesRecipe(**FLOW),
    ElasticityRecipe(refine=1),
]


@pytest.mark.parametrize("recipe", SMALL, ids=lambda recipe: recipe.name)
def test_a_sample_depends_only_on_its_row_and_the_seed(recipe):
    together = list(recipe.make([Sample(0, i) for i in range(3)]))
    more = type(recipe)(**{**vars(recipe), _count(recipe): 9000})
    (alone,) = more.make([Sample(0, 2)])
    (other,) = type(recipe)(**{**vars(recipe), "seed": 1}).make([Sample(0, 2)])
    (test,) = recipe.make([Sample(1, 2)])
    for name, array in alone.items():
        np.testing.assert_allclose(array, together[2][name], rtol=1e-6, atol=1e-12)
        assert not np.allclose(array, together[1][name])
        assert not np.allclose(array, other[name])
        assert not np.allclose(array, test[name])


def _count(recipe):
    return "num_train" if recipe.name == "darcy" else "num"


def test_darcy_sample():
    recipe = DarcyRecipe(seed=3, resolution=17)
    (sample,) = recipe.make([Sample(1, 4)])
    assert set(np.unique(sample["coeff"])) == {3.0, 12.0}
    np.testing.assert_array_equal(sample["sol"], solve_darcy(sample["coeff"]))


def test_navier_stokes_sample():
    recipe = NavierStokesRecipe(**FLOW, viscosity=1e-3)
    place = Sample(0, 4)
    (sample,) = recipe.make([place])
    start = periodic_field(recipe.rng(place), 16)
    np.testing.assert_array_equal(sample["a"], start[::2, ::2].astype(np.float32))

    x = torch.arange(16, dtype=torch.float64) / 16
    phase = 2 * torch.pi * (x[:, None] + x)
    force = 0.1 * (torch.sin(phase) + torch.cos(phase))
    flow = VorticityFlow(16, viscosity=1e-3, dt=0.05, forcing=force)
    fields = torch.stack(list(flow.run(torch.from_numpy(start), 2)), dim=-1)
    assert sample["u"].shape == (8, 8, 2)
    np.testing.assert_allclose(sample["u"], fields[::2, ::2], rtol=1e-6)


def test_elasticity_sample():
    (sample,) = ElasticityRecipe(refine=1).make([Sample(0, 4)])
    cell = UnitCell(sample["theta"])
    np.testing.assert_array_equal(sample["sigma"], cell.stress(1))
    np.testing.assert_array_equal(sample["XY"], cell.points())
    assert sample["rr"].shape == (42,)
    assert sample["rr"][0] == pytest.approx(sample["rr"][-1])
    assert sample["rr"][0] == pytest.approx(cell.radius(np.zeros(1))[0])


def test_batches_depend_on_the_rows():
    few, many = (NavierStokesRecipe(num=n, batch_size=4).batches() for n in (6, 9))
    assert [len(batch) for batch in many] == [4, 4, 1]
    assert few[0] == many[0]
    assert [len(batch) for batch in NavierStokesRecipe(num=3).batches()] == [1, 1, 1]
    # The four files of the elasticity set hold the same samples.
    assert len(ElasticityRecipe(num=5).batches()) == 5
    assert len(DarcyRecipe(num_train=5, num_test=2).batches()) == 7


def test_content_is_what_changes_the_samples():
    assert DarcyRecipe(num_train=3).content() == {"seed": 0, "resolution": 421}
    one, two = NavierStokesRecipe(), NavierStokesRecipe(dt=5e-3, batch_size=3, num=7)
    assert one.content() == two.content()
    assert one.content()["dt"] == 5e-3
    assert NavierStokesRecipe(scheme="euler").content()["dt"] == 1e-4


@pytest.mark.parametrize(
    ("recipe", "options", "message"),
    [
        (DarcyRecipe, {"seed": -1}, r"expected --seed >= 0 \(got -1\)"),
        (DarcyRecipe, {"num_test": 0}, r"expected --num-test >= 1 \(got 0\)"),
        (DarcyRecipe, {"resolution": 4}, r"expected --resolution >= 5 \(got 4\)"),
        (NavierStokesRecipe, {"num": 0}, r"expected --num >= 1 \(got 0\)"),
        (NavierStokesRecipe, {"scheme": "ab2"}, "unknown --scheme 'ab2'; choose from"),
        (NavierStokesRecipe, {"dt": 0.3}, "expected a dt > 0 of which 1 is a multiple"),
        (NavierStokesRecipe, {"viscosity": -1.0}, "expected --viscosity >= 0"),
        (NavierStokesRecipe, {"final_time": 0}, "expected --final-time >= 1"),
        (NavierStokesRecipe, {"resolution": 60}, "--solver-resolution that is a multiple of 60"),
        (NavierStokesRecipe, {"resolution": 0}, "expected --resolution >= 4"),
        (NavierStokesRecipe, {"batch_size": 0}, "expected --batch-size >= 1"),
        (NavierStokesRecipe, {"device": "tpu"}, "cannot compute on --device 'tpu' here"),
        (ElasticityRecipe, {"refine": 0}, "expected --refine >= 1"),
    ],
)
def test_bad_options(recipe, options, message):
    with pytest.raises(ValueError, match=message):
        recipe(**options)


def test_elasticity_needs_scikit_fem(monkeypatch):
    monkeypatch.setattr("flare_mesh.datasets.generators.scikit_fem.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs scikit-fem; install it with `pip install 'flare"):
        ElasticityRecipe()
