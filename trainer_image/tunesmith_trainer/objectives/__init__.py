"""Losses: sums and counts out, so that the engine can divide by global counts."""
