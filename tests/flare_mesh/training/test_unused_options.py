from dataclasses import dataclass

import pytest

from flare_mesh.training.unused_options import refuse_unused


@dataclass(frozen=True)
class Config:
    a: int = 1
    b: float = 2.0


def test_only_what_differs_from_its_default_is_refused():
    refuse_unused(Config(a=5), "the choice 'x'", ["b"])
    with pytest.raises(
        ValueError, match=r"Config: 'b' has no effect with the choice 'x' \(got 3\)"
    ):
        refuse_unused(Config(b=3), "the choice 'x'", ["a", "b"])
