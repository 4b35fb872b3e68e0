from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flare_mesh.training.case_sampler import CaseSampler

sets = st.fixed_dictionaries(
    {
        "sizes": st.lists(st.integers(1, 50), max_size=30),
        "batch_size": st.integers(1, 5),
        "max_nodes": st.none() | st.integers(1, 90),
        "shuffle": st.booleans(),
        "mean": st.booleans(),
        "seed": st.integers(-3, 2**40),
    }
)
worlds, epochs = st.integers(1, 4), st.integers(0, 5)


def samplers(options, world_size, **more):
    """One for each process."""
    options = {**options, **more}
    sizes = options.pop("sizes")
    return [
        CaseSampler(sizes, **options, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]


def drawn(options, world_size, epoch, **more):
    """Batches [rank][batch] of keys."""
    ranks = samplers(options, world_size, **more)
    for sampler in ranks:
        sampler.set_epoch(epoch)
    return [list(sampler) for sampler in ranks]


@settings(max_examples=60, deadline=None)
@given(sets, worlds, epochs)
def test_each_case_once_and_as_many_batches_on_each_process(options, world_size, epoch):
    ranks = drawn(options, world_size, epoch)
    found = Counter(
        key.index for batches in ranks for batch in batches for key in batch if key.weight
    )
    assert found == Counter(range(len(options["sizes"])))
    assert all(batch for batches in ranks for batch in batches)
    for sampler, batches in zip(samplers(options, world_size), ranks, strict=True):
        sampler.set_epoch(epoch)
        assert len(sampler) == len(batches)


@settings(max_examples=60, deadline=None)
@given(sets, worlds, epochs)
def test_weights_give_the_mean_over_the_batch(options, world_size, epoch):
    ranks = drawn(options, world_size, epoch, mean=True)
    for parts in zip(*ranks, strict=True):
        # As DistributedDataParallel: each process sums, and the sums are averaged.
        loss = [key.index**2 + 1.0 for part in parts for key in part if key.weight]
        sums = [sum((key.index**2 + 1.0) * key.weight for key in part) for part in parts]
        assert sum(sums) / world_size == pytest.approx(sum(loss) / len(loss))
    for batches in drawn(options, world_size, epoch, mean=False):
        assert {key.weight for batch in batches for key in batch} <= {0.0, 1.0}


@settings(max_examples=60, deadline=None)
@given(sets, worlds, epochs, st.integers(0, 12))
def test_skipping_leaves_the_other_batches_unchanged(options, world_size, epoch, count):
    first = drawn(options, world_size, epoch)
    assert drawn(options, world_size, epoch) == first
    for sampler, batches in zip(samplers(options, world_size), first, strict=True):
        sampler.skip(epoch, count)
        sampler.set_epoch(epoch + 1)
        assert len(list(sampler)) == len(sampler)  # another epoch is whole
        sampler.set_epoch(epoch)
        assert list(sampler) == batches[count:]


def test_order_and_seeds_change_with_the_epoch():
    options = {"sizes": [1] * 50, "shuffle": True}
    orders = [tuple(b[0].index for b in drawn(options, 1, epoch)[0]) for epoch in range(4)]
    assert len(set(orders)) == 4
    assert all(sorted(order) == list(range(50)) for order in orders)
    seeds = [{b[0].seed for b in drawn(options, 1, epoch)[0]} for epoch in range(4)]
    assert len(set.union(*seeds)) == 200
    assert drawn(options, 1, 0, seed=1) != drawn(options, 1, 0)


def test_an_evaluation_is_the_same_in_each_epoch():
    options = {"sizes": [1] * 7, "batch_size": 2}
    assert drawn(options, 2, 0) == drawn(options, 2, 3)


@settings(max_examples=60, deadline=None)
@given(sets, worlds, epochs, st.integers(1, 90))
def test_only_single_cases_exceed_max_nodes(options, world_size, epoch, max_nodes):
    sizes = options["sizes"]
    ranks = drawn(options, world_size, epoch, max_nodes=max_nodes)
    for batches in ranks:
        for batch in batches:
            assert len(batch) == 1 or sum(sizes[key.index] for key in batch) <= max_nodes
    # All but the last batch have a case for every process.
    assert all(key.weight for batches in ranks for batch in batches[:-1] for key in batch)


def test_batches_are_filled_up_to_max_nodes():
    sampler = CaseSampler([10] * 12, max_nodes=30, world_size=2)
    assert [[len(part) for part in batch] for batch in sampler.batches(0)] == [[3, 3], [3, 3]]


@settings(max_examples=60, deadline=None)
@given(sets, worlds, epochs)
def test_drop_last_leaves_full_batches(options, world_size, epoch):
    ranks = drawn(options, world_size, epoch, drop_last=True, max_nodes=None)
    step = options["batch_size"] * world_size
    assert {len(batches) for batches in ranks} == {len(options["sizes"]) // step}
    assert all(len(batch) == options["batch_size"] for batches in ranks for batch in batches)
    found = [key.index for batches in ranks for batch in batches for key in batch]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    "options",
    [{"batch_size": 0}, {"batch_size": -1}, {"max_nodes": 0}, {"max_nodes": 9, "drop_last": True}],
)
def test_wrong_options(options):
    with pytest.raises(ValueError, match="expected batch_size and max_nodes|leave out drop_last"):
        CaseSampler([1, 2], **options)


@pytest.mark.parametrize("epoch_batches", [1, 2, 7])
def test_epochs_of_a_given_length_go_on_where_the_one_before_ended(epoch_batches):
    def keys(length, epochs):
        sampler = CaseSampler([0] * 5, batch_size=2, shuffle=True, mean=True, epoch_batches=length)
        found = []
        for epoch in range(epochs):
            sampler.set_epoch(epoch)
            batches = list(sampler)
            assert len(batches) == len(sampler) == (length or 3)
            found += batches
        return found

    # Passes of three batches.
    passes = keys(None, 14)
    assert keys(epoch_batches, 42 // epoch_batches) == passes


def test_a_resumed_epoch_of_a_given_length_skips_its_first_batches():
    sampler = CaseSampler([0] * 5, batch_size=2, shuffle=True, epoch_batches=4)
    sampler.set_epoch(1)
    whole = list(sampler)
    sampler.skip(1, 3)
    assert list(sampler) == whole[3:]
    with pytest.raises(ValueError, match=r"expected epoch_batches >= 1 \(got 0\)"):
        CaseSampler([0], epoch_batches=0)
