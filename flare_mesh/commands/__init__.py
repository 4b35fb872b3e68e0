"""Commands of ``flare-mesh``."""
