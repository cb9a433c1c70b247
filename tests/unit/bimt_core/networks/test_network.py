import pytest
import torch
from torch import nn

from bimt_core.networks.network import draw_linear, square


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_linear_layers_are_drawn_as_by_torch(dtype):
    torch.manual_seed(3)
    layer = nn.Linear(4, 6, dtype=dtype)
    weight, bias = torch.empty(6, 4, dtype=dtype), torch.empty(6, dtype=dtype)
    draw_linear(weight, bias, torch.Generator().manual_seed(3))
    assert torch.equal(weight, layer.weight)
    assert torch.equal(bias, layer.bias)


def test_square_grids():
    assert [square(n) for n in (1, 4, 100)] == [(1, 1), (2, 2), (10, 10)]
    for n in (-4, 0, 2, 99):
        with pytest.raises(ValueError, match=f"hidden_width must be a square number .*, got {n}"):
            square(n)
