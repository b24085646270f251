"""Numbers and texts as people read them."""

from __future__ import annotations

import pytest

from tunesmith_trainer.report.curves import smooth, thin
from tunesmith_trainer.report.words import cut, duration, metric_value, number, printable, size


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (duration(0.42), "0.4 s"),
        (duration(59.96), "1 min 0 s"),
        (duration(412.7), "6 min 53 s"),
        (duration(3_599.7), "1 h 0 min"),
        (duration(200_000), "2 d 7 h"),
        (size(512), "512 bytes"),
        (size(731 << 20), "731 MiB"),
        (size(3 << 29), "1.5 GiB"),
        (number(1_234_567), "1,234,567"),
        (number(1603.04), "1,603"),
        (number(0.000123456), "0.0001235"),
        (metric_value("accuracy", 0.9312), "93.1 %"),
        (metric_value("r2", -0.00001), "0.000"),
        (metric_value("mae", 12_345.6), "12,346"),
        (cut("x" * 400)[-2:], "x…"),
        (printable("a\x00b\ud800c\td\n"), "a\ufffdb\ufffdc\td\n"),
    ],
)
def test_words(said: str, expected: str) -> None:
    assert said == expected


def test_thinning_keeps_both_ends() -> None:
    points = [(step, float(step)) for step in range(100_001)]
    thinned = thin(points)
    assert len(thinned) <= 402
    assert (thinned[0], thinned[-1]) == (points[0], points[-1])
    assert thin([]) == []


def test_smoothing_leaves_a_constant_alone_and_starts_at_the_first_value() -> None:
    assert [value for _, value in smooth([(i, 2.5) for i in range(50)])] == pytest.approx([2.5] * 50)
    assert smooth([(1, 9.0), (2, 1.0)])[0] == (1, pytest.approx(9.0))
