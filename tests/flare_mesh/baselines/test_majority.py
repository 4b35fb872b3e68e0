import numpy as np
import pytest

from flare_mesh.baselines.majority import majority_accuracy


def test_share_of_the_training_samples_most_frequent_class():
    assert majority_accuracy(np.array([2, 0, 2, 1]), np.array([2, 0, 0, 1])) == (2, 0.25)


def test_no_samples():
    with pytest.raises(ValueError, match="got 0 and 1"):
        majority_accuracy(np.array([], int), np.array([1]))
