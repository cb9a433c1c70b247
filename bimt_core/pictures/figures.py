"""All figures that suit a network, by name."""

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
    """Plots all figures that suit a task and its network, by name.

    Always "connectivity" and "ablation_table"; "decision_regions" for classes of points in the plane; "predictions" for
    values; "embedding_rings" for tokens, and "strip_plots" and "cayley_graph" if these are permutations;
    "neuron_values" for transformers; "network_3d" for neurons on grids and "filters" for images. A network without
    active weights, or with weights that are not finite, has the same figures, with a message.

    Args:
        population: Networks trained on the task.
        task: The task.
        network: Index of the network in the population.
        communities: Communities; found once for all figures when left out.

    Raises:
        ValueError: If there is no such network.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("two_moons")
        >>> sorted(plot_all(initialise(task.network, [0]), task))
        ['ablation_table', 'connectivity', 'decision_regions']
    """
    one = select_network(population, network)
    wiring, takes_tokens, has_classes = one.network.wiring, one.network.takes_tokens, task.score_name == "accuracy"
    communities = find_communities(make_drawable(one), communities)
    figures = {
        "connectivity": plot_connectivity(one, task, communities=communities),
        "ablation_table": plot_ablation_table(one, task, communities=communities),
    }
    if has_classes and not takes_tokens and task.inputs.shape[1:] == (2,):
        figures["decision_regions"] = plot_decision_regions(one, task, communities=communities)
    if not has_classes:
        figures["predictions"] = plot_predictions(one, task)
    if takes_tokens:
        figures["embedding_rings"] = plot_embedding_rings(one, task, communities=communities)
        if parse_permutations(task.output_names):
            figures |= {"strip_plots": plot_strips(one, task), "cayley_graph": plot_cayley_graph(one, task)}
    if isinstance(one.network, Transformer):
        figures["neuron_values"] = plot_neuron_values(one, task)
    if all(neurons.positions.shape[1] == 2 for neurons in wiring.neurons):
        figures["network_3d"] = plot_network_3d(one, task, communities=communities)
        if not wiring.inputs.movable and task.inputs.ndim == 2:
            figures["filters"] = plot_filters(one, task)
    return figures
