"""Ray clusters: connecting to one, what it has room for, and sharing it."""
