"""Warning about the content of a mesh file."""


class MeshFileWarning(UserWarning):
    """Content of a mesh file that is not read, or may not be what the user means."""
