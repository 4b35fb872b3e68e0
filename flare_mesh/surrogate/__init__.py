"""Trained models as objects of weights, normalisers, names, units and training range."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
