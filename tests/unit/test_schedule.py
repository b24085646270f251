"""The learning rate follows its closed form."""

import math

import pytest
import torch

from tunesmith_trainer.engine.schedule import factor, warmup_steps


def test_warm_up_climbs_in_equal_steps_to_the_peak():
    assert [factor(s, total=100, warmup=4, shape="linear") for s in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("linear", lambda q: 1 - q),
        ("cosine", lambda q: 0.5 * (1 + math.cos(math.pi * q))),
        ("constant", lambda q: 1.0),
    ],
)
def test_after_the_warm_up(shape, expected):
    for step in range(10, 110):
        assert factor(step, total=110, warmup=10, shape=shape) == pytest.approx(expected((step - 10) / 100), abs=1e-15)


def test_linear_equals_torch_without_warm_up():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    peer = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=0.0, total_iters=50)
    for step in range(50):
        assert factor(step, total=50, warmup=0, shape="linear") == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        peer.step()


def test_the_warm_up_is_a_share_of_all_steps():
    assert warmup_steps(625, 0.1) == 62
    assert warmup_steps(5, 0.1) == 0
