"""Transonic flow around airfoils."""

from typing import ClassVar

from flare_mesh.data.splits import PublishedSplit
from flare_mesh.datasets.curvilinear import CurvilinearDataset


class Airfoil(CurvilinearDataset):
    """Transonic inviscid flow around airfoils, from Geo-FNO (arXiv 2207.05209).

    Steady Euler equations at Mach 0.8 and zero angle of attack around randomly deformed NACA-0012
    airfoils, on a C-grid of 221 x 51 nodes that extends to 40 chords. The files are published
    without a licence.

    =================================  ====================  ========
    convention                         train                 test
    =================================  ====================  ========
    ``"flare"`` (Transolver, Geo-FNO)  first 1,000 of 2,490  next 200
    ``"lno"``                          first 1,000           last 200
    =================================  ====================  ========

    FLARE standardises the Mach number (mean and standard deviation over all training points) and
    does not normalise the coordinates.

    Files: ``airfoil/naca/NACA_Cylinder_{X,Y,Q}.npy`` of shapes [S, 221, 51] and [S, 5, 221, 51].
    Grids of another size are read too.

    Fields, dimensionless (free-stream density and pressure are 1): ``density`` [N, 1], ``velocity``
    [N, 2], ``pressure`` [N, 1], ``mach`` [N, 1]. ``pos`` [N, 2] in chords, ``quad`` [E, 4]. The
    grid has two nodes at each point of the wake cut, where its first axis starts and ends.

    Options: see :class:`~flare_mesh.datasets.curvilinear.CurvilinearDataset`. The default target is
    ``mach``.
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
