"""URI -> store: reading, conditional writes and ownership; knows nothing of models."""
