"""Modularity of a network: weight graph, communities, Newman's Q, and comparison with shuffled weights."""

from bimt_core.modularity.cut import Cut, normalised_cut
from bimt_core.modularity.graph import TRANSFORMS, Node, Transform, weight_graph
from bimt_core.modularity.methods import METHODS, Communities, Method, communities, louvain
from bimt_core.modularity.null import AMONG, Among, Null, null_modularity
from bimt_core.modularity.statistics import (
    CommunityStatistics,
    TensorStatistics,
    community_statistics,
    tensor_statistics,
)
from bimt_core.modularity.table import ModularityRow, modularity_table

__all__ = [
    "AMONG",
    "METHODS",
    "TRANSFORMS",
    "Among",
    "Communities",
    "CommunityStatistics",
    "Cut",
    "Method",
    "ModularityRow",
    "Node",
    "Null",
    "TensorStatistics",
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
