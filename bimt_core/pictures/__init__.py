"""Pictures of networks and of their computations: matplotlib figures without pyplot, SVG, GIF and HTML."""

from bimt_core.pictures.canvas import to_png, to_svg
from bimt_core.pictures.figures import plot_all
from bimt_core.pictures.network.animation import render_animation
from bimt_core.pictures.network.diagram import plot_connectivity, plot_network_3d
from bimt_core.pictures.network.interactive import render_interactive
from bimt_core.pictures.network.sketch import render_sketch, render_sketches
from bimt_core.pictures.tasks.ablation_table import plot_ablation_table
from bimt_core.pictures.tasks.decision_regions import plot_decision_regions
from bimt_core.pictures.tasks.embedding_rings import plot_embedding_rings
from bimt_core.pictures.tasks.filters import plot_filters
from bimt_core.pictures.tasks.loss_curves import plot_loss_curves
from bimt_core.pictures.tasks.neuron_values import plot_neuron_values
from bimt_core.pictures.tasks.permutations import plot_cayley_graph, plot_strips
from bimt_core.pictures.tasks.predictions import plot_predictions
from bimt_core.pictures.tasks.variant_grid import plot_variant_grid

__all__ = [
    "plot_ablation_table",
    "plot_all",
    "plot_cayley_graph",
    "plot_connectivity",
    "plot_decision_regions",
    "plot_embedding_rings",
    "plot_filters",
    "plot_loss_curves",
    "plot_network_3d",
    "plot_neuron_values",
    "plot_predictions",
    "plot_strips",
    "plot_variant_grid",
    "render_animation",
    "render_interactive",
    "render_sketch",
    "render_sketches",
    "to_png",
    "to_svg",
]
