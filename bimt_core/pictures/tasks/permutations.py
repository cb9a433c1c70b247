"""Permutations as tokens: strip plots of the embedding's neurons, and the Cayley graph of the tokens."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bimt_core.pictures.canvas import Floats
from bimt_core.pictures.chart import create_chart, create_message, set_titles
from bimt_core.pictures.palette import COMMUNITY, DIVERGING, INACTIVE, INK, MUTED
from bimt_core.pictures.subject import (
    find_embedding,
    find_fault,
    rank_embedding_neurons,
    select_network,
    task_title,
    token_names,
)
from bimt_core.population import Population
from bimt_core.tasks import Task

Permutation = tuple[int, ...]
Moves = tuple[list[tuple[int, int]], list[tuple[int, int]]]
EVEN, ODD = COMMUNITY[2], COMMUNITY[1]
MOST_STRIPS, MOST_GRAPHS = 9, 5
STRIP, NAMES, GRAPH = 30.0, 30.0, 150.0  # heights, in points


def plot_strips(population: Population, task: Task, network: int = 0, *, most: int = MOST_STRIPS) -> Figure:
    """Plots the value of each active embedding neuron for every token, one strip per neuron.

    The strongest neurons are at the top (see `rank_embedding_neurons`). If the tokens are permutations, the even ones
    are on the left in purple, the odd ones on the right in yellow: a neuron with one value for all even and another for
    all odd permutations represents the parity.

    Args:
        population: Networks trained on the task.
        task: A task whose inputs are tokens.
        network: Index of the network in the population.
        most: Number of neurons shown.

    Raises:
        ValueError: If there is no trainable embedding, or no such network.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("permutation_s4")
        >>> figure = plot_strips(initialise(task.network, [0]), task)
    """
    one = select_network(population, network)
    embedding = find_embedding(one, task)
    places = [] if find_fault(one) else rank_embedding_neurons(one, embedding)
    title = f"{task_title(task)}: {len(places)} active embedding neurons, their value for each token"
    if not places:
        return create_message(title, find_fault(one) or "no embedding neuron is active")
    names = token_names(task, len(embedding))
    signs = [_sign(permutation) for permutation in parse_permutations(names)]
    order = sorted(range(len(names)), key=lambda i: (-signs[i], i)) if signs else list(range(len(names)))
    colours = [(EVEN if signs[i] > 0 else ODD) if signs else COMMUNITY[0] for i in order]
    shown = places[:most]
    title += f" (the strongest {len(shown)})" if len(shown) < len(places) else ""
    title += "\neven permutations left, odd ones right" if signs else ""
    figure, panels = create_chart(title, len(shown), columns=1, height=STRIP, bottom=2, left=78, foot=NAMES)
    for axes, place in zip(panels, shown, strict=True):
        column = embedding[order, place].double().numpy()
        axes.vlines(range(len(order)), 0, column, colors=colours, linewidth=1.0)
        axes.scatter(range(len(order)), column, s=13, color=colours, gid=f"neuron{place}")
        axes.axhline(0, color=INACTIVE, linewidth=0.6, zorder=0)
        axes.set(xticks=[], xlim=(-0.8, len(order) - 0.2))
        axes.margins(y=0.15)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.spines["bottom"].set_visible(False)
        set_titles(axes, "", y=f"neuron {place + 1}")
        axes.yaxis.label.set(rotation=0, ha="right", va="center")
    if len(order) <= 40:
        panels[-1].set_xticks(range(len(order)), [names[i].split()[0] for i in order], rotation=90)
    return figure


def plot_cayley_graph(population: Population, task: Task, network: int = 0, *, most: int = MOST_GRAPHS) -> Figure:
    """Plots the Cayley graph of the tokens' group, coloured by parity and by the strongest embedding neurons.

    Nodes are permutations p. Thick edges lead from p to p after the exchange of the first two elements, thin ones to p
    after the cycle of all. For four elements this is the graph of the truncated octahedron. If neighbours have the same
    colour (blue high, orange-red low, each neuron on its own scale), the neuron ignores the move between them.

    Args:
        population: Networks trained on the task.
        task: A task whose output names begin with permutations, such as "0132".
        network: Index of the network in the population.
        most: Number of neurons shown.

    Raises:
        ValueError: If the tokens are not permutations, there is no trainable embedding, or no such network.

    Examples:
        >>> from bimt_core import initialise, load_task
        >>> task = load_task("permutation_s4")
        >>> figure = plot_cayley_graph(initialise(task.network, [0]), task)
    """
    one = select_network(population, network)
    embedding = find_embedding(one, task)
    names = token_names(task, len(embedding))
    elements = parse_permutations(names)
    if not elements:
        raise ValueError(f"a Cayley graph needs tokens that are permutations, those of task {task.name!r} are not")
    fault = find_fault(one)
    places = [] if fault else rank_embedding_neurons(one, embedding)[:most]
    title = f"{task_title(task)}: Cayley graph of the tokens, coloured by embedding neurons"
    title += f" ({fault})" if fault else ""
    title += "\nthick lines: exchange of the first two elements; thin lines: cycle of all; blue high, orange-red low"
    n = 1 + len(places)
    figure, panels = create_chart(title, n, columns=min(3, n), height=GRAPH, bottom=4)
    points, moves = _place_elements(tuple(elements))
    odd = np.array([_sign(element) < 0 for element in elements])
    _draw_graph(panels[0], points, moves, np.where(odd, ODD, EVEN).tolist(), names, "parity")
    set_titles(panels[0], "parity: purple even, yellow odd")
    for axes, place in zip(panels[1:], places, strict=True):
        column = embedding[:, place].double().numpy()
        column = column - column.mean()
        colours = DIVERGING(0.5 + 0.5 * column / max(np.abs(column).max(), 1e-12))
        _draw_graph(axes, points, moves, colours, names, f"neuron{place}")
        set_titles(axes, f"embedding neuron {place + 1}")
    return figure


def parse_permutations(names: Sequence[str]) -> list[Permutation]:
    """Parses the permutations with which names begin; returns none if a name has none, or two have the same.

    Args:
        names: Such as "0132 odd".
    """
    words = (name.partition(" ")[0] for name in names)
    elements = [tuple(map(int, word)) if word.isdigit() else () for word in words]
    n = len(elements[0])
    are_permutations = n > 1 and all(sorted(element) == list(range(n)) for element in elements)
    return elements if are_permutations and len(set(elements)) == len(elements) else []


def _sign(permutation: Permutation) -> int:
    """Returns 1 for an even permutation, -1 for an odd one."""
    inversions = sum(one > other for one, other in combinations(permutation, 2))
    return -1 if inversions % 2 else 1


def _find_edges(elements: Sequence[Permutation]) -> Moves:
    """Returns the edges of the Cayley graph as pairs of indices: those of the exchange, and those of the cycle."""
    number, n = {element: i for i, element in enumerate(elements)}, len(elements[0])
    exchange, cycle = (1, 0, *range(2, n)), (*range(1, n), 0)
    exchanged, cycled = (
        {tuple(sorted((i, number[tuple(p[k] for k in move)]))) for p, i in number.items()} for move in (exchange, cycle)
    )
    return sorted(exchanged), sorted(cycled - exchanged)  # type: ignore[arg-type]  # pairs


@lru_cache(maxsize=4)
def _place_elements(elements: tuple[Permutation, ...]) -> tuple[Floats, Moves]:
    """Computes the position of each element, shape (n, 2), and the edges."""
    moves = _find_edges(elements)
    graph = nx.Graph()
    graph.add_nodes_from(range(len(elements)))
    graph.add_edges_from(moves[0] + moves[1])
    is_planar, _ = nx.check_planarity(graph)
    start = nx.planar_layout(graph) if is_planar else nx.circular_layout(graph)
    positions = nx.kamada_kawai_layout(graph, pos=start)
    return np.array([positions[i] for i in range(len(elements))]), moves


def _draw_graph(
    axes: Axes, points: Floats, moves: Moves, colours: Sequence[str] | Floats, names: Sequence[str], name: str
) -> None:
    for pairs, width in zip(moves, (2.2, 0.8), strict=True):
        ends = list(points[np.array(pairs, dtype=np.int64).reshape(-1, 2)])
        axes.add_collection(LineCollection(ends, colors=INACTIVE, linewidths=width, zorder=1, gid="moves"))
    axes.scatter(points[:, 0], points[:, 1], s=52, c=colours, edgecolors=MUTED, linewidths=0.7, gid=name)
    for text, at in zip(names, points.tolist(), strict=True):
        axes.annotate(text.split()[0], at, (0, 4.6), textcoords="offset points", ha="center", fontsize=4.8, color=INK)
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.margins(0.08)
