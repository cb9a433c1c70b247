"""Pictures of networks and of what they compute: matplotlib figures without pyplot and without global state."""

from bimt_core.pictures.ablation_grid import ablation_grid
from bimt_core.pictures.canvas import to_png, to_svg
from bimt_core.pictures.decision_regions import decision_regions
from bimt_core.pictures.diagram import connectivity, contact_sheet
from bimt_core.pictures.embedding_rings import embedding_rings
from bimt_core.pictures.figures import figures
from bimt_core.pictures.film import film
from bimt_core.pictures.filters import filters
from bimt_core.pictures.interactive import interactive
from bimt_core.pictures.knock_out_table import knock_out_table
from bimt_core.pictures.loss_curves import loss_curves
from bimt_core.pictures.neuron_values import neuron_values
from bimt_core.pictures.permutations import cayley_graph, strip_plots
from bimt_core.pictures.perspective import network_3d
from bimt_core.pictures.predictions import predicted_against_true
from bimt_core.pictures.sketch import sketch, sketches

__all__ = [
    "ablation_grid",
    "cayley_graph",
    "connectivity",
    "contact_sheet",
    "decision_regions",
    "embedding_rings",
    "figures",
    "film",
    "filters",
    "interactive",
    "knock_out_table",
    "loss_curves",
    "network_3d",
    "neuron_values",
    "predicted_against_true",
    "sketch",
    "sketches",
    "strip_plots",
    "to_png",
    "to_svg",
]
