"""Modularity of a network: weight graph, communities, Newman's Q, and comparison with shuffled weights."""

from bimt_core.modularity.cut import normalised_cut
from bimt_core.modularity.graph import TRANSFORMS, Node, Transform, weight_graph
from bimt_core.modularity.methods import METHODS, Communities, communities, louvain
from bimt_core.modularity.null import AMONG, Null, null_modularity
from bimt_core.modularity.statistics import community_statistics, tensor_statistics
from bimt_core.modularity.table import ModularityRow, modularity_table

__all__ = [
    "AMONG",
    "METHODS",
    "TRANSFORMS",
    "Communities",
    "ModularityRow",
    "Node",
    "Null",
    "Transform",
    "communities",
    "community_statistics",
    "louvain",
    "modularity_table",
    "normalised_cut",
    "null_modularity",
    "tensor_statistics",
    "weight_graph",
]
