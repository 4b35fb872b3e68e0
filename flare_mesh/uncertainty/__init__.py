"""How far a prediction can be trusted: conformal bands, and unlikeness to the training cases."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
