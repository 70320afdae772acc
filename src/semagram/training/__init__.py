"""One explicit loop: optimisers, batches, checkpoints, records."""
