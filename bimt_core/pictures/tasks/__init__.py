"""Figures of what a network has learned of its task."""
