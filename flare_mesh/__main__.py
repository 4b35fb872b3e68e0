"""``python -m flare_mesh`` is ``flare-mesh``."""

import sys

from flare_mesh.cli import main

sys.exit(main())
