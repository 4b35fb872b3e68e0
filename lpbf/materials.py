"""The materials that the simulator knows by name."""

from lpbf.material import Material

MATERIALS = {
    "Ti-6Al-4V": Material("Ti-6Al-4V", youngs_modulus=113_800.0, poisson_ratio=0.342),
}
