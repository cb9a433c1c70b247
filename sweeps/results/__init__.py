"""Results of sweeps: frames of trials, trained networks, comparisons of variants."""
