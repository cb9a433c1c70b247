"""Surgery: finished networks are taken apart to see what their parts are for."""

from bimt_core.surgery.changes import Change, Surgery, intervene
from bimt_core.surgery.formulas import formula, formula_text
from bimt_core.surgery.knock_outs import KnockOut, knock_out, knock_out_neurons, knock_out_scores, knock_out_subsets
from bimt_core.surgery.pruning import Pruned, prune, prune_curve, smallest_network

__all__ = [
    "Change",
    "KnockOut",
    "Pruned",
    "Surgery",
    "formula",
    "formula_text",
    "intervene",
    "knock_out",
    "knock_out_neurons",
    "knock_out_scores",
    "knock_out_subsets",
    "prune",
    "prune_curve",
    "smallest_network",
]
