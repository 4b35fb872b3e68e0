"""``python -m flare_mesh``, the same as ``flare-mesh``."""

import sys

from flare_mesh.cli import main

sys.exit(main())
