"""What a worker does: trains the trials of a cohort, checkpoints, measures and draws them."""
