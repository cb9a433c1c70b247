"""Permutations as tokens: strips of the embedding's neurons over all of them, and their Cayley graph."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bimt_core.pictures.canvas import INK, MUTED, Floats
from bimt_core.pictures.chart import DIVERGING, chart, entitle, nothing
from bimt_core.pictures.network.legend import COMMUNITY, INACTIVE
from bimt_core.pictures.subject import (
    active_tokens,
    embedding_of,
    find_fault,
    select_network,
    task_title,
    tensors_of,
    token_names,
)
from bimt_core.population import Population
from bimt_core.tasks import Task

Permutation = tuple[int, ...]
EVEN, ODD = COMMUNITY[2], COMMUNITY[1]
MOST_STRIPS, MOST_GRAPHS = 9, 5
STRIP, NAMES, GRAPH = 30.0, 30.0, 150.0  # heights, in points


def plot_strips(population: Population, task: Task, network: int = 0, *, most: int = MOST_STRIPS) -> Figure:
    """The value of each active embedding neuron for every token, one strip a neuron.

    Strongest neurons (see `active_tokens`) at the top. Where the tokens are permutations, the even ones stand left, and
    even and odd ones have their colours: a neuron that has one value for all even and another for all odd permutations
    knows the parity.

    Args:
        population: Networks trained on the task.
        task: Whose inputs are tokens.
        network: Which network of the population.
        most: Neurons shown.

    Raises:
        ValueError: If there is no trainable embedding, or no such network.
    """
    one = select_network(population, network)
    wire = embedding_of(one, task)
    values = tensors_of(one)[wire.tensor].double().numpy()
    places = [] if find_fault(one) else active_tokens(one, wire)
    title = f"{task_title(task)}: {len(places)} active embedding neurons, their value for each token"
    if not places:
        return nothing(title, find_fault(one) or "no embedding neuron is active")
    names = token_names(task, len(values))
    signs = [sign(permutation) for permutation in permutations(names)]
    order = sorted(range(len(names)), key=lambda i: (-signs[i], i)) if signs else list(range(len(names)))
    colours = [(EVEN if signs[i] > 0 else ODD) if signs else COMMUNITY[0] for i in order]
    shown = places[:most]
    title += f" (the strongest {len(shown)})" if len(shown) < len(places) else ""
    title += "\neven permutations left, odd ones right" if signs else ""
    figure, panels = chart(title, len(shown), columns=1, height=STRIP, bottom=2, left=78, foot=NAMES)
    for axes, place in zip(panels, shown, strict=True):
        column = values[order, place]
        axes.vlines(range(len(order)), 0, column, colors=colours, linewidth=1.0)
        axes.scatter(range(len(order)), column, s=13, color=colours, gid=f"neuron{place}")
        axes.axhline(0, color=INACTIVE, linewidth=0.6, zorder=0)
        axes.set(xticks=[], xlim=(-0.8, len(order) - 0.2))
        axes.margins(y=0.15)
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.spines["bottom"].set_visible(False)
        entitle(axes, "", up=f"neuron {place + 1}")
        axes.yaxis.label.set(rotation=0, ha="right", va="center")
    if len(order) <= 40:
        panels[-1].set_xticks(range(len(order)), [names[i].split()[0] for i in order], rotation=90)
    return figure


def plot_cayley_graph(population: Population, task: Task, network: int = 0, *, most: int = MOST_GRAPHS) -> Figure:
    """The Cayley graph of the tokens' group, its nodes coloured by parity and then by the strongest embedding neurons.

    Nodes are permutations p; thick edges lead from p to p after the exchange of the first two, thin ones to p after the
    cycle of all. Of four things the graph is that of the truncated octahedron. Where neighbours share a neuron's colour
    (blue high, orange-red low, each neuron on its own scale), it does not see the move between them.

    Args:
        population: Networks trained on the task.
        task: Whose tokens are permutations, called so by the outputs, such as "0132".
        network: Which network of the population.
        most: Neurons shown.

    Raises:
        ValueError: If the tokens are no permutations, there is no trainable embedding, or no such network.
    """
    one = select_network(population, network)
    wire = embedding_of(one, task)
    values = tensors_of(one)[wire.tensor].double().numpy()
    names = token_names(task, len(values))
    elements = permutations(names)
    if not elements:
        raise ValueError(f"a Cayley graph needs tokens that are permutations, those of task {task.name!r} are not")
    why = find_fault(one)
    places = [] if why else active_tokens(one, wire)[:most]
    title = f"{task_title(task)}: Cayley graph of the tokens, coloured by embedding neurons" + (
        f" ({why})" if why else ""
    )
    key = "thick lines: exchange of the first two things; thin lines: cycle of all; blue high, orange-red low"
    figure, panels = chart(f"{title}\n{key}", 1 + len(places), columns=min(3, 1 + len(places)), height=GRAPH, bottom=4)
    points, moves = _drawn(tuple(elements))
    odd = np.array([sign(element) < 0 for element in elements])
    _draw_graph(panels[0], points, moves, np.where(odd, ODD, EVEN).tolist(), names, "parity")
    entitle(panels[0], "parity: purple even, yellow odd")
    for axes, place in zip(panels[1:], places, strict=True):
        column = values[:, place] - values[:, place].mean()
        colours = DIVERGING(0.5 + 0.5 * column / max(np.abs(column).max(), 1e-12))
        _draw_graph(axes, points, moves, colours, names, f"neuron{place}")
        entitle(axes, f"embedding neuron {place + 1}")
    return figure


def permutations(names: Sequence[str]) -> list[Permutation]:
    """The permutations that names begin with, such as "0132 odd"; none if one of them is no permutation."""
    found = [tuple(map(int, word)) if word.isdigit() else () for word in (name.partition(" ")[0] for name in names)]
    n = len(found[0])
    fine = n > 1 and all(sorted(element) == list(range(n)) for element in found) and len(set(found)) == len(found)
    return found if fine else []


def sign(permutation: Permutation) -> int:
    """1 for an even permutation, -1 for an odd one."""
    inversions = sum(one > other for one, other in combinations(permutation, 2))
    return -1 if inversions % 2 else 1


def moves_between(elements: Sequence[Permutation]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Edges of the Cayley graph: pairs of elements, first those of the exchange, then those of the cycle."""
    number, n = {element: i for i, element in enumerate(elements)}, len(elements[0])
    exchange, cycle = (1, 0, *range(2, n)), (*range(1, n), 0)
    exchanged, cycled = (
        {tuple(sorted((i, number[tuple(p[k] for k in move)]))) for p, i in number.items()} for move in (exchange, cycle)
    )
    return sorted(exchanged), sorted(cycled - exchanged)  # type: ignore[arg-type]  # pairs


@lru_cache(maxsize=4)
def _drawn(elements: tuple[Permutation, ...]) -> tuple[Floats, tuple[list[tuple[int, int]], list[tuple[int, int]]]]:
    """Where each element is drawn, shape (n, 2), and the edges."""
    moves = moves_between(elements)
    graph = nx.Graph()
    graph.add_nodes_from(range(len(elements)))
    graph.add_edges_from(moves[0] + moves[1])
    is_planar, _ = nx.check_planarity(graph)
    start = nx.planar_layout(graph) if is_planar else nx.circular_layout(graph)
    places = nx.kamada_kawai_layout(graph, pos=start)
    return np.array([places[i] for i in range(len(elements))]), moves


def _draw_graph(
    axes: Axes,
    points: Floats,
    moves: tuple[list[tuple[int, int]], list[tuple[int, int]]],
    colours: Sequence[str] | Floats,
    names: Sequence[str],
    name: str,
) -> None:
    for pairs, width in zip(moves, (2.2, 0.8), strict=True):
        ends = list(points[np.array(pairs, dtype=np.int64).reshape(-1, 2)])
        axes.add_collection(LineCollection(ends, colors=INACTIVE, linewidths=width, zorder=1, gid="moves"))
    axes.scatter(points[:, 0], points[:, 1], s=52, c=colours, edgecolors=MUTED, linewidths=0.7, gid=name)
    for text, at in zip(names, points.tolist(), strict=True):
        axes.annotate(text.split()[0], at, (0, 4.6), textcoords="offset points", ha="center", fontsize=4.8, color=INK)
    axes.set(xticks=[], yticks=[], aspect="equal")
    axes.spines[:].set_visible(False)
    axes.margins(0.08)
