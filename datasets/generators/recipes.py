"""Recipes of data sets, by name."""

from flare_mesh.datasets.generators.brackets_recipe import BracketsRecipe
from flare_mesh.datasets.generators.darcy_recipe import DarcyRecipe
from flare_mesh.datasets.generators.elasticity_recipe import ElasticityRecipe
from flare_mesh.datasets.generators.list_ops_recipe import ListOpsRecipe
from flare_mesh.datasets.generators.navier_stokes_recipe import NavierStokesRecipe
from flare_mesh.datasets.generators.obstacle_flow_recipe import ObstacleFlowRecipe
from flare_mesh.datasets.generators.pathfinder_recipe import PathfinderRecipe
from flare_mesh.datasets.generators.plates_recipe import PlatesRecipe
from flare_mesh.datasets.generators.recipe import Recipe

RECIPES: dict[str, type[Recipe]] = {
    recipe.name: recipe
    for recipe in (
        *(DarcyRecipe, NavierStokesRecipe, ElasticityRecipe),
        *(BracketsRecipe, PlatesRecipe, ObstacleFlowRecipe),
        *(ListOpsRecipe, PathfinderRecipe),
    )
}
