"""PyG transforms of meshes.

Random transforms draw from torch's global generator, which ``torch.manual_seed`` seeds, and a
loader in each of its workers: the draws are reproducible, and differ between workers. Use
``generator=`` only in a single process: every worker of a loader would get a copy in the same state
and draw the same numbers, and spawned workers cannot get one, since torch's generators cannot be
pickled.
"""

from flare_mesh.data.transforms.add_noise import AddNoise
from flare_mesh.data.transforms.build_features import BuildFeatures
from flare_mesh.data.transforms.from_reference_frame import FromReferenceFrame
from flare_mesh.data.transforms.geometry_features import GeometryFeatures
from flare_mesh.data.transforms.knn_edges import KNNEdges
from flare_mesh.data.transforms.mesh_edges import MeshEdges
from flare_mesh.data.transforms.quadrature_weights import QuadratureWeights
from flare_mesh.data.transforms.radius_edges import RadiusEdges
from flare_mesh.data.transforms.random_nodes import RandomNodes
from flare_mesh.data.transforms.random_reflection import RandomReflection
from flare_mesh.data.transforms.random_rotation import RandomRotation
from flare_mesh.data.transforms.random_square_symmetry import RandomSquareSymmetry
from flare_mesh.data.transforms.shrinkage_features import ShrinkageFeatures
from flare_mesh.data.transforms.signed_distance import SignedDistance
from flare_mesh.data.transforms.support_features import SupportFeatures
from flare_mesh.data.transforms.surface_normals import SurfaceNormals
from flare_mesh.data.transforms.to_reference_frame import ToReferenceFrame

__all__ = [
    "AddNoise",
    "BuildFeatures",
    "FromReferenceFrame",
    "GeometryFeatures",
    "KNNEdges",
    "MeshEdges",
    "QuadratureWeights",
    "RadiusEdges",
    "RandomNodes",
    "RandomReflection",
    "RandomRotation",
    "RandomSquareSymmetry",
    "ShrinkageFeatures",
    "SignedDistance",
    "SupportFeatures",
    "SurfaceNormals",
    "ToReferenceFrame",
]
