"""The loss guard stops what has gone wrong, and nothing else."""

import math

import pytest

from tunesmith_trainer.engine.guard import WINDOW, divergence


@pytest.mark.parametrize(
    ("recent", "norm", "says"),
    [
        ([4.0, math.nan], 1.0, "the loss is nan"),
        ([4.0, math.inf], 1.0, "the loss is inf"),
        ([4.0, 4.0], math.inf, "norm of the gradient is inf"),
        ([4.0, 500.0], 1.0, "100 times the first"),
        ([30.0] * WINDOW, 1.0, "5 times the first"),
    ],
)
def test_stops(recent, norm, says):
    assert says in divergence(4.0, recent, norm)


@pytest.mark.parametrize("recent", [[4.3], [0.01] * 19 + [3.0], [1.0] * 19 + [39.0], [4.0] * WINDOW, [60.0]])
def test_lets_noise_pass(recent):
    assert divergence(4.3, recent, 1.0) is None


def test_a_loss_that_starts_at_nothing_is_not_a_spike_at_once():
    assert divergence(0.0, [0.0, 1e-4], 1.0) is None
