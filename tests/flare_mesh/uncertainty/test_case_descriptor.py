import torch
from torch_geometric.data import Data

from flare_mesh.uncertainty.case_descriptor import describe_case


def test_shape_of_a_weighted_case():
    pos = torch.tensor([[1.0, 10.0], [3.0, 10.0], [1.0, 14.0], [2.0, 12.0]])
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0])
    found = describe_case(Data(pos=pos, weight=weight))["shape"]
    u = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [0.0, 0.0]]).double()
    share = weight.double() / 10
    legendre = [u**0, u, (3 * u**2 - 1) / 2, (5 * u**3 - 3 * u) / 2]
    legendre.append((35 * u**4 - 30 * u**2 + 3) / 8)
    degrees = [(i, j) for i in range(5) for j in range(5) if 0 < i + j <= 4]
    moments = [(share * legendre[i][:, 0] * legendre[j][:, 1]).sum() for i, j in degrees]
    extents = torch.tensor([2.0 + 4e-6, 4.0 + 4e-6]).double().log()
    expected = torch.cat([extents, torch.stack(moments), torch.tensor([10.0]).double().log()])
    torch.testing.assert_close(found, expected)


def test_position_and_order_do_not_matter():
    torch.manual_seed(0)
    case = Data(pos=torch.rand(50, 3), x=torch.randn(50, 2), weight=torch.rand(50))
    order = torch.randperm(50)
    other = Data(pos=case.pos[order] + 8, x=case.x[order], weight=case.weight[order])
    first, second = describe_case(case), describe_case(other)
    assert first.keys() == second.keys() == {"shape", "inputs"}
    for kind, values in first.items():
        torch.testing.assert_close(values, second[kind], atol=2e-6, rtol=1e-5)
    assert first["shape"].shape == (3 + 34 + 1,)


def test_inputs():
    case = Data(pos=torch.rand(3, 2), x=torch.tensor([[1.0], [2.0], [6.0]]))
    torch.testing.assert_close(
        describe_case(case)["inputs"], torch.tensor([3.0, (14 / 3) ** 0.5]).double()
    )
