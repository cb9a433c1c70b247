"""Drawings of a network's neurons and weights."""
