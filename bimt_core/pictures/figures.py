"""All figures that make sense for a network, by name."""

from collections.abc import Callable
from functools import partial

from matplotlib.figure import Figure

from bimt_core.modularity import Communities
from bimt_core.networks import Transformer
from bimt_core.pictures.network.diagram import plot_connectivity
from bimt_core.pictures.network.perspective import plot_network_3d
from bimt_core.pictures.subject import communities_of, find_fault, select_network
from bimt_core.pictures.tasks.ablation_table import plot_ablation_table
from bimt_core.pictures.tasks.decision_regions import plot_decision_regions
from bimt_core.pictures.tasks.embedding_rings import plot_embedding_rings
from bimt_core.pictures.tasks.filters import plot_filters
from bimt_core.pictures.tasks.neuron_values import plot_neuron_values
from bimt_core.pictures.tasks.permutations import permutations, plot_cayley_graph, plot_strips
from bimt_core.pictures.tasks.predictions import plot_predictions
from bimt_core.population import Population
from bimt_core.tasks import Task

Draw = Callable[[Population, Task], Figure]


def plot_all(
    population: Population, task: Task, network: int = 0, communities: Communities | None = None
) -> dict[str, Figure]:
    """All figures that make sense for a task and its network.

    Always "connectivity" and "knock_out_table"; "decision_regions" for classes of points in the plane;
    "predicted_against_true" for values; "embedding_rings" for tokens, and "strip_plots" and "cayley_graph" where they
    are permutations; "neuron_values" for transformers; "filters" for images and "network_3d" for neurons on grids.

    Args:
        population: Networks trained on the task.
        task: The task.
        network: Which network of the population.
        communities: Found when left out, once for all figures.

    Returns:
        Name of the function that draws it to the figure. A network without active weights, or with weights that are not
        finite, has the same figures, which say so.

    Raises:
        ValueError: If there is no such network.
    """
    one = select_network(population, network)
    found = communities_of(one, communities) if find_fault(one) is None else Communities(0.0, ())
    return {name: draw(one, task) for name, draw in _fitting(one, task, found).items()}


def _fitting(one: Population, task: Task, found: Communities) -> dict[str, Draw]:
    """What draws the figures that make sense."""
    chosen: dict[str, Draw] = {
        "connectivity": partial(plot_connectivity, communities=found),
        "knock_out_table": partial(plot_ablation_table, communities=found),
    }
    wiring, has_classes = one.network.wiring, task.score_name == "accuracy"
    if has_classes and not one.network.takes_tokens and task.inputs.shape[1:] == (2,):
        chosen["decision_regions"] = partial(plot_decision_regions, communities=found)
    if not has_classes:
        chosen["predicted_against_true"] = plot_predictions
    if one.network.takes_tokens:
        chosen["embedding_rings"] = partial(plot_embedding_rings, communities=found)
        if permutations(task.output_names):
            chosen |= {"strip_plots": plot_strips, "cayley_graph": plot_cayley_graph}
    if isinstance(one.network, Transformer):
        chosen["neuron_values"] = plot_neuron_values
    if all(neurons.positions.shape[1] == 2 for neurons in wiring.neurons):
        chosen["network_3d"] = partial(plot_network_3d, communities=found)
        if not wiring.inputs.movable and task.inputs.ndim == 2:
            chosen["filters"] = plot_filters
    return chosen
