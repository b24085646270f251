"""The one line that says how a model did."""

from __future__ import annotations

NAMES = {"macroF1": "macro F1", "calibrationError": "calibration error", "mae": "MAE", "rmse": "RMSE", "r2": "R²"}


def headline(metric: str, metrics: dict[str, float], base_metrics: dict[str, float]) -> str:
    """Such as "accuracy 0.931 (baseline 0.013)"."""
    return f"{NAMES.get(metric, metric)} {metrics[metric]:.3g} (baseline {base_metrics[metric]:.3g})"
