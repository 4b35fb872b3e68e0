import pytest

from flare_mesh.cases.source_plugins import build_source


def test_unknown_plugins_and_options():
    assert build_source("", {}) is None
    with pytest.raises(ValueError, match=r"plug-in 'casting', as in training \(got \['lpbf'\]\)"):
        build_source("casting", {})
    with pytest.raises(ValueError, match="plug-in 'lpbf' has no option 'pich'; did you mean 'pi"):
        build_source("lpbf", {"pich": 2.0})
