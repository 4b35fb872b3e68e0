"""Data sets in the layout of LPBF_FLARE from results of other programs."""

from lpbf.convert.filters import Filters
from lpbf.convert.netfabb import convert_netfabb
from lpbf.convert.published import convert_published

__all__ = ["Filters", "convert_netfabb", "convert_published"]
