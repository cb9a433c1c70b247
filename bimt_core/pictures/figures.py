"""All figures that suit a network, by name."""

from collections.abc import Callable
from functools import partial

from matplotlib.figure import Figure

from bimt_core.modularity import Communities
from bimt_core.networks import Transformer
from bimt_core.pictures.network.diagram import plot_connectivity, plot_network_3d
from bimt_core.pictures.subject import find_communities, make_drawable, select_network
from bimt_core.pictures.tasks.ablation_table import plot_ablation_table
from bimt_core.pictures.tasks.decision_regions import plot_decision_regions
from bimt_core.pictures.tasks.embedding_rings import plot_embedding_rings
from bimt_core.pictures.tasks.filters import plot_filters
from bimt_core.pictures.tasks.neuron_values import plot_neuron_values
from bimt_core.pictures.tasks.permutations import parse_permutations, plot_cayley_graph, plot_strips
from bimt_core.pictures.tasks.predictions import plot_predictions
from bimt_core.population import Population
from bimt_core.tasks import Task


def plot_all(
    population: Population, task: Task, network: int = 0, communities: Communities | None = None
) -> dict[str, Figure]:
    """Plots all figures that suit a task and its network.

    Always "connectivity" and "ablation_table"; "decision_regions" for classes of points in the plane; "predictions" for
    values; "embedding_rings" for tokens, and "strip_plots" and "cayley_graph" if these are permutations;
    "neuron_values" for transformers; "network_3d" for neurons on grids and "filters" for images.

    Args:
        population: Networks trained on the task.
        task: The task.
        network: Index of the network in the population.
        communities: Found when left out, once for all figures.

    Returns:
        Name to figure. A network without active weights, or with weights that are not finite, has the same figures,
        with a message.

    Raises:
        ValueError: If there is no such network.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("two_moons")
        >>> sorted(plot_all(initialise(task.network, [0]), task))
        ['ablation_table', 'connectivity', 'decision_regions']
    """
    one = select_network(population, network)
    communities = find_communities(make_drawable(one), communities)
    return {name: plot(one, task) for name, plot in _choose_plots(one, task, communities).items()}


def _choose_plots(one: Population, task: Task, communities: Communities) -> dict[str, Callable[..., Figure]]:
    wiring, has_classes = one.network.wiring, task.score_name == "accuracy"
    plots: dict[str, Callable[..., Figure]] = {
        "connectivity": partial(plot_connectivity, communities=communities),
        "ablation_table": partial(plot_ablation_table, communities=communities),
    }
    if has_classes and not one.network.takes_tokens and task.inputs.shape[1:] == (2,):
        plots["decision_regions"] = partial(plot_decision_regions, communities=communities)
    if not has_classes:
        plots["predictions"] = plot_predictions
    if one.network.takes_tokens:
        plots["embedding_rings"] = partial(plot_embedding_rings, communities=communities)
        if parse_permutations(task.output_names):
            plots |= {"strip_plots": plot_strips, "cayley_graph": plot_cayley_graph}
    if isinstance(one.network, Transformer):
        plots["neuron_values"] = plot_neuron_values
    if all(neurons.positions.shape[1] == 2 for neurons in wiring.neurons):
        plots["network_3d"] = partial(plot_network_3d, communities=communities)
        if not wiring.inputs.movable and task.inputs.ndim == 2:
            plots["filters"] = plot_filters
    return plots
