"""PyVista plots of fields on meshes; installed as ``flare_mesh.visualize``."""

from flare_mesh.visualize.distortion import plot_distortion
from flare_mesh.visualize.gallery import plot_gallery

__all__ = ["plot_distortion", "plot_gallery"]
