"""Ray clusters: connecting to one, its resources, and sharing it between sweeps."""
