"""The sweeps of a cluster, from any machine: submitted as Ray jobs, listed, followed and stopped."""
