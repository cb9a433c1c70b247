"""Reads the results of sweeps: frames, trained networks, comparisons."""
