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
    "Change",
    "Ablation",
    "Pruned",
    "Surgery",
    "formula",
    "formula_text",
    "intervene",
    "ablate",
    "score_neuron_ablations",
    "score_community_ablations",
    "score_subset_ablations",
    "prune",
    "prune_curve",
    "smallest_network",
]
