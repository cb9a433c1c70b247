"""Surgery: finished networks are taken apart to see what their parts are for."""

from bimt_core.surgery.ablation import (
    Ablation,
    ablate,
    score_community_ablations,
    score_neuron_ablations,
    score_subset_ablations,
)
from bimt_core.surgery.changes import Change, Surgery, intervene
from bimt_core.surgery.formulas import formula, formula_text
from bimt_core.surgery.pruning import Pruned, prune, prune_curve, smallest_network

__all__ = [
    "Ablation",
    "Change",
    "Pruned",
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
