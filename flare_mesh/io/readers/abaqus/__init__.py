"""Reader of Abaqus and CalculiX decks."""

from flare_mesh.io.readers.abaqus.reader import read_abaqus

__all__ = ["read_abaqus"]
