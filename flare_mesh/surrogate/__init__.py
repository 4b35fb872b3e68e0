"""A trained model as one object: weights, normalisers, names, units, range, files."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
