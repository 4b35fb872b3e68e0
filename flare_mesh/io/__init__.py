"""Files in and out: mesh files, HDF5, MAT and npy arrays, downloads."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
