"""Pictures of a network's wiring: the connectivity diagram as a figure, a sketch, a page and an animation."""
