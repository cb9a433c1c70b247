"""Modularity of a network: its weight graph, communities and Newman's Q."""

from bimt_core.modularity.graph import ACTIVE, TRANSFORMS, Node, Transform, weight_graph
from bimt_core.modularity.methods import Communities, louvain

__all__ = ["ACTIVE", "TRANSFORMS", "Communities", "Node", "Transform", "louvain", "weight_graph"]
