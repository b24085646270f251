"""The optimizer is AdamW over fp32 masters, and its state can be saved and loaded between any two steps."""

import copy

import pytest
import torch
from torch import nn

from tunesmith_trainer.engine.optimizer import MasterAdamW


def model(dtype=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.Linear(5, 3)).to(dtype)


def gradients(module, step):
    torch.manual_seed(100 + step)
    for parameter in module.parameters():
        parameter.grad = torch.randn(parameter.shape).to(parameter.dtype)


def optimizer(module):
    return MasterAdamW(dict(module.named_parameters()), rate=lambda name: 3e-2 if name.startswith("2") else 1e-2, weight_decay=0.1)


def test_fp32_equals_torch_adamw_with_clipping():
    ours, theirs = model(), model()
    adam = optimizer(ours)
    groups = [
        {"params": [p], "lr": 3e-2 if n.startswith("2") else 1e-2, "weight_decay": 0.1 if p.ndim > 1 else 0.0}
        for n, p in theirs.named_parameters()
    ]
    peer = torch.optim.AdamW(groups)
    for step in range(20):
        gradients(ours, step)
        gradients(theirs, step)
        norm = adam.step(factor=1.0, max_norm=1.0)
        assert norm == pytest.approx(float(nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)), rel=1e-6)
        peer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_norms_and_biases_do_not_decay():
    module = model()
    adam = optimizer(module)
    before = copy.deepcopy(module.state_dict())
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    adam.step(factor=1.0, max_norm=1.0)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]) == (before[name].ndim < 2), name


def test_bf16_keeps_updates_that_bf16_would_round_away():
    module = nn.Linear(1, 1, bias=False).to(torch.bfloat16)
    nn.init.ones_(module.weight)
    adam = MasterAdamW(dict(module.named_parameters()), rate=lambda _n: 1e-4, weight_decay=0.0)
    for _ in range(100):
        module.weight.grad = torch.ones_like(module.weight)
        adam.step(factor=1.0, max_norm=10.0)
    assert float(adam.state()["master/weight"]) == pytest.approx(1 - 100 * 1e-4, rel=1e-3)
    assert float(module.weight.detach()) == pytest.approx(0.99, abs=4e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_loaded_state_goes_on_bit_for_bit(dtype):
    straight = model(dtype)
    adam = optimizer(straight)
    for step in range(8):
        if step == 4:
            saved = adam.state()
        gradients(straight, step)
        adam.step(factor=1.0 - step / 10, max_norm=1.0)
    resumed = model(dtype)
    again = optimizer(resumed)
    again.load(saved, step=4)
    for step in range(4, 8):
        gradients(resumed, step)
        again.step(factor=1.0 - step / 10, max_norm=1.0)
    for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
    assert all(torch.equal(v, adam.state()[k]) for k, v in again.state().items())
