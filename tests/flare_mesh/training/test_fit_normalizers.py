import threading

import pytest
import torch
from torch_geometric.data import Data

from flare_mesh import FLAREOperator
from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.training.fit_normalizers import check_scales, fit_normalizers


def cases(count=5):
    generator, found = torch.Generator().manual_seed(0), []
    for number in range(count):
        pos = torch.rand(6 + number, 3, generator=generator)
        load = torch.full((len(pos), 1), 2.0**number)
        y = torch.cat([load**2 * (1 + pos[:, :1]), pos[:, 1:2]], 1)
        found.append(Data(pos=pos, x=load, y=y, case_id=f"c{number}"))
    return found


def surrogate():
    torch.manual_seed(0)
    model = FLAREOperator(1, 2, hidden_channels=4, num_layers=1, heads=1, num_latents=2)
    by = {"u": "power_law"}
    return Surrogate(model, {"u": 1, "v": 1}, inputs={"load": 1}, scale_by=by)


def test_processes_that_read_shares_fit_the_same(monkeypatch):
    barrier, found = threading.Barrier(2), {}

    def all_gather_object(parts, mine):
        found[threading.current_thread().name] = mine
        barrier.wait()
        parts[:] = [found["0"], found["1"]]
        barrier.wait()

    monkeypatch.setattr(torch.distributed, "all_gather_object", all_gather_object)
    alone, shared = surrogate(), [surrogate(), surrogate()]
    fit_normalizers(alone, cases())
    threads = [
        threading.Thread(
            target=fit_normalizers,
            args=(one, cases()),
            kwargs={"rank": rank, "world_size": 2},
            name=str(rank),
        )
        for rank, one in enumerate(shared)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, values in alone.state_dict().items():
        first, second = (one.state_dict()[name] for one in shared)
        assert torch.equal(first, second)
        torch.testing.assert_close(first, values)
    assert shared[1].training_range == alone.training_range


def test_a_target_of_one_value():
    some, message = cases(), "all nodes of all training cases have the value {}, so that there is"
    for case in some:
        case.y[:, 1] = 3.5
    with pytest.warns(UserWarning, match=f"target 'v': {message.format('3.5')}"):
        fit_normalizers(surrogate(), some)
    for case in some:
        case.y[:, 1] = 0.0
    with pytest.raises(ValueError, match=r"'v' is zero .*the target, if it is zero in all cases"):
        fit_normalizers(surrogate(), some, nonzero=True)
    for case in some:
        case.y[:, 0], case.y[:, 1] = 2.0, 3.5
    with pytest.raises(
        ValueError, match=f"'u': {message.format('2')}.*'v': {message.format('3.5')}"
    ):
        fit_normalizers(surrogate(), some)


def test_a_varying_scale_in_held_out_cases_is_refused():
    made, held_out = surrogate(), cases(3)
    fit_normalizers(made, cases())
    check_scales(made, held_out)
    held_out[1].x[0] = 7.0
    with pytest.raises(ValueError, match=r"case 'c1': 'load' varies over the case, from 2 to 7"):
        check_scales(made, held_out)
    # Each process reads its share.
    check_scales(made, held_out, rank=0, world_size=2)
