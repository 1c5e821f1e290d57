"""Jump-and-retrain trajectories: where they go, and the homology of the points they visit."""
