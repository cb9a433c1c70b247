"""Surgery on trained networks: pruning, ablation, interventions and formulas."""

from bimt_core.surgery.ablation import (
    Ablation,
    ablate,
    score_community_ablations,
    score_neuron_ablations,
    score_subset_ablations,
)
from bimt_core.surgery.changes import Change, Surgery, intervene
from bimt_core.surgery.formulas import formula, formula_text
from bimt_core.surgery.pruning import PruningResult, prune, prune_curve, smallest_network

__all__ = [
    "Ablation",
    "Change",
    "PruningResult",
    "Surgery",
    "ablate",
    "formula",
    "formula_text",
    "intervene",
    "prune",
    "prune_curve",
    "score_community_ablations",
    "score_neuron_ablations",
    "score_subset_ablations",
    "smallest_network",
]
