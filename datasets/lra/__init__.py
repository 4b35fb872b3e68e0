"""Long Range Arena: labelled sequences as PyG data sets, without padding."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
