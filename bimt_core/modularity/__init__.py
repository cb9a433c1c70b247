"""Modularity of a network: its weight graph, communities, Newman's Q, and how far chance goes."""

from bimt_core.modularity.graph import ACTIVE, TRANSFORMS, Node, Transform, weight_graph
from bimt_core.modularity.methods import METHODS, Communities, Method, communities, louvain
from bimt_core.modularity.null import AMONG, Among, Null, null_modularity
from bimt_core.modularity.table import ModularityRow, modularity_rows, modularity_table

__all__ = [
    "ACTIVE",
    "AMONG",
    "METHODS",
    "TRANSFORMS",
    "Among",
    "Communities",
    "Method",
    "ModularityRow",
    "Node",
    "Null",
    "Transform",
    "communities",
    "louvain",
    "modularity_rows",
    "modularity_table",
    "null_modularity",
    "weight_graph",
]
