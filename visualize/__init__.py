"""Pictures of fields on PyVista, and charts on matplotlib; installed as ``flare_mesh.visualize``.

Neither is imported before the first picture or chart.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
