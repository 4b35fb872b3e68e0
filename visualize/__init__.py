"""Pictures of fields on meshes, by PyVista; installed as ``flare_mesh.visualize``."""

from flare_mesh.visualize.distortion import plot_distortion

__all__ = ["plot_distortion"]
