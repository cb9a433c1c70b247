"""A cluster's sweeps from anywhere: submitted as Ray jobs, listed, followed and stopped."""
