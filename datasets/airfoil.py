"""Transonic flow around airfoils."""

from typing import ClassVar

from flare_mesh.datasets.curvilinear import CurvilinearDataset
from flare_mesh.datasets.published_split import PublishedSplit


class Airfoil(CurvilinearDataset):
    """Transonic inviscid flow around airfoils, of Geo-FNO (arXiv 2207.05209).

    Steady Euler equations at Mach 0.8 and no angle of attack, around NACA-0012 with a random
    outline, on a C-grid of 221 x 51 nodes that ends at a distance of 40 chords. Publishers of the
    files state no licence.

    .. list-table::
        :header-rows: 1

        * - convention
          - train
          - test
        * - ``"flare"`` (Transolver, Geo-FNO)
          - first 1,000 of 2,490
          - next 200
        * - ``"lno"``
          - first 1,000
          - last 200

    FLARE standardises the Mach number (mean and standard deviation over all training points) and
    leaves the coordinates as they are.

    Files: ``airfoil/naca/NACA_Cylinder_{X,Y,Q}.npy`` of shapes [S, 221, 51] and [S, 5, 221, 51].
    Grids of another size are read too.

    Fields, without dimension (density and pressure of the oncoming flow are 1): ``density`` [N, 1],
    ``velocity`` [N, 2], ``pressure`` [N, 1], ``mach`` [N, 1]. ``pos`` [N, 2] in chords, ``quad``
    [E, 4]. The nodes of the cut behind the airfoil, from which the grid's first axis starts and
    where it ends, are there twice.

    The options are those of :class:`~flare_mesh.datasets.curvilinear.CurvilinearDataset`; the
    target is ``mach`` by default.
    """

    FILE = "airfoil/naca/NACA_Cylinder_{}.npy"
    CHANNELS = {
        "density": slice(0, 1),
        "velocity": slice(1, 3),
        "pressure": slice(3, 4),
        "mach": slice(4, 5),
    }
    TARGET = "mach"
    FIELDS = {"density": 1, "velocity": 2, "pressure": 1, "mach": 1}
    UNITS = {"density": "1", "velocity": "1", "pressure": "1", "mach": "1"}
    ADDRESS = "https://drive.google.com/drive/folders/1YBuaoTdOSr_qzaow-G-iwvbUI7fiUzu8"
    STATS: ClassVar = {"train": 1000, "test": 200, "cases": 2490, "nodes": 11271, "channels": 1}
    SPLITS = {"flare": PublishedSplit(1000, 200), "lno": PublishedSplit(1000, 200, last=True)}
