"""All figures that make sense for a network, by name."""

from collections.abc import Callable
from functools import partial

from matplotlib.figure import Figure

from bimt_core.modularity import Communities
from bimt_core.networks import Transformer
from bimt_core.pictures.decision_regions import decision_regions
from bimt_core.pictures.diagram import connectivity
from bimt_core.pictures.embedding_rings import embedding_rings
from bimt_core.pictures.filters import filters
from bimt_core.pictures.knock_out_table import knock_out_table
from bimt_core.pictures.neuron_values import neuron_values
from bimt_core.pictures.permutations import cayley_graph, permutations, strip_plots
from bimt_core.pictures.perspective import network_3d
from bimt_core.pictures.predictions import predicted_against_true
from bimt_core.pictures.subject import communities_of, fault, only
from bimt_core.population import Population
from bimt_core.tasks import Task

Draw = Callable[[Population, Task], Figure]


def figures(
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
    one = only(population, network)
    found = communities_of(one, communities) if fault(one) is None else Communities(0.0, ())
    return {name: draw(one, task) for name, draw in _fitting(one, task, found).items()}


def _fitting(one: Population, task: Task, found: Communities) -> dict[str, Draw]:
    """What draws the figures that make sense."""
    chosen: dict[str, Draw] = {
        "connectivity": partial(connectivity, communities=found),
        "knock_out_table": partial(knock_out_table, communities=found),
    }
    wiring, has_classes = one.network.wiring, task.score_name == "accuracy"
    if has_classes and not one.network.takes_tokens and task.inputs.shape[1:] == (2,):
        chosen["decision_regions"] = partial(decision_regions, communities=found)
    if not has_classes:
        chosen["predicted_against_true"] = predicted_against_true
    if one.network.takes_tokens:
        chosen["embedding_rings"] = partial(embedding_rings, communities=found)
        if permutations(task.output_names):
            chosen |= {"strip_plots": strip_plots, "cayley_graph": cayley_graph}
    if isinstance(one.network, Transformer):
        chosen["neuron_values"] = neuron_values
    if all(neurons.positions.shape[1] == 2 for neurons in wiring.neurons):
        chosen["network_3d"] = partial(network_3d, communities=found)
        if not wiring.inputs.movable and task.inputs.ndim == 2:
            chosen["filters"] = filters
    return chosen
