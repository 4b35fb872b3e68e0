"""A plotter whose picture notebooks show."""

from io import BytesIO
from typing import Any

import pyvista


class NotebookPlotter(pyvista.Plotter):
    """A plotter that is a static picture where it is the last value of a notebook's cell.

    ``show()`` displays an interactive view there if ``pyvista[jupyter]`` is installed.
    """

    def _repr_png_(self) -> bytes:
        from PIL import Image

        self.render()
        picture: Any = self.screenshot(return_img=True)
        file = BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        return file.getvalue()
