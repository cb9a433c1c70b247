"""Pages about sweeps: the report of one, and the comparison of variants."""
