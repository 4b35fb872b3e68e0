import pytest

from flare_mesh.data.normalizers import (
    IdentityNormalizer,
    UnitCubeNormalizer,
    UnitGaussianNormalizer,
    build_normalizer,
)


def test_by_name_class_and_instance():
    assert type(build_normalizer("identity", 2)) is IdentityNormalizer
    cube = build_normalizer("unit_cube", 4, groups=[3, 1], limits=(-1, 1))
    assert isinstance(cube, UnitCubeNormalizer)
    assert (cube.groups, cube.limits) == ((3, 1), (-1, 1))
    made = build_normalizer(UnitGaussianNormalizer, 3)
    assert (type(made), made.channels) == (UnitGaussianNormalizer, 3)
    assert build_normalizer(made, 3) is made


def test_bad_choices():
    with pytest.raises(
        ValueError, match=r"unknown normaliser 'z'; choose from \['fixed', 'identity', "
    ):
        build_normalizer("z", 2)
    for normalizer in ("unit_gaussian", UnitGaussianNormalizer):
        with pytest.raises(
            ValueError,
            match=r"Normalizer has no option 'limits'; choose from \['center', 'groups'\]",
        ):
            build_normalizer(normalizer, 2, limits=(0, 1))
    made = UnitGaussianNormalizer(3)
    with pytest.raises(ValueError, match=r"a normaliser of 2 channels \(got 3\)"):
        build_normalizer(made, 2)
    with pytest.raises(ValueError, match="no options with an instance of UnitGaussianNormalizer"):
        build_normalizer(made, 3, groups=[3])
