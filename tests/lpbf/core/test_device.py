import pytest

from lpbf.core.device import check_device


def test_devices():
    check_device("cpu")
    for name in ("tpu", "meta", "no device"):
        with pytest.raises(ValueError, match=f"device '{name}': cannot be used .*choose 'cpu'"):
            check_device(name)
