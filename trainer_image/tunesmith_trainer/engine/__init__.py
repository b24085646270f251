"""The training loop and what it stands on; knows no objective and no model by name."""
