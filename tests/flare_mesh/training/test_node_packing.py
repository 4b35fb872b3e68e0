import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flare_mesh.training.case_sampler import CaseSampler
from flare_mesh.training.node_packing import pack_densely, pack_in_order, split_to


def cases_of(batches):
    return sorted(case for parts in batches for part in parts for case in part)


SIZES = st.lists(st.integers(1, 120), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(1, 3), st.randoms(use_true_random=False))
def test_all_cases_within_the_budget(sizes, world, generator):
    order = list(range(len(sizes)))
    generator.shuffle(order)
    for pack in (pack_in_order, pack_densely):
        batches = pack(sizes, order, 100, world)
        assert cases_of(batches) == sorted(order)
        for parts in batches:
            assert len(parts) == world
            assert all(len(part) == 1 or sum(sizes[i] for i in part) <= 100 for part in parts)
    assert len(pack_densely(sizes, order, 100, world)) == len(
        pack_densely(sizes, sorted(order), 100, world)
    )


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(1, 3))
def test_splitting_keeps_all_cases(sizes, world):
    batches = pack_in_order(sizes, range(len(sizes)), 300, world)
    for count in range(len(batches), len(sizes) + 1):
        split = split_to(batches, count)
        assert len(split) == count
        assert cases_of(split) == list(range(len(sizes)))
        assert all(any(parts) for parts in split)
    with pytest.raises(ValueError, match="at most one batch a case"):
        split_to(batches, len(sizes) + 1)


@pytest.mark.parametrize("world", [1, 2])
def test_every_epoch_has_all_cases_in_as_many_batches(world):
    sizes = random.Random(0).choices(range(1, 60), k=80)
    sampler = CaseSampler(sizes, max_nodes=100, shuffle=True, world_size=world, seed=2)
    for epoch in range(30):
        sampler.set_epoch(epoch)
        batches = sampler.batches(epoch)
        assert len(batches) == len(sampler)
        assert cases_of(batches) == list(range(80))
    counts = {len(pack_in_order(sizes, sampler._order(e).tolist(), 100, world)) for e in range(30)}
    assert len(counts) > 1  # or nothing had to be evened out
