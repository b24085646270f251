"""Scores of a model: metrics, the baseline, slices, the worst errors and the gate."""
