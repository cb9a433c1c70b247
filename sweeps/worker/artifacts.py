"""Pictures and history of a trial, as files."""

from collections.abc import Mapping, Sequence

from bimt_core import (
    Population,
    Task,
    louvain,
    plot_all,
    plot_connectivity,
    render_animation,
    render_interactive,
    render_sketch,
    render_sketches,
    to_png,
    to_svg,
    weight_graph,
)
from sweeps.spec.recipe import Params, recipe
from sweeps.worker.history import HistoryEntry, deserialize_history, serialize_history

FRAMES = 7  # of an animation, about 30 ms each
HISTORY, SKETCH = "history.safetensors", "diagrams/sketch.svg"


def pick_best_and_median(metrics: Mapping[str, list[float]]) -> tuple[int, int]:
    """Returns the networks with the lowest and with the median validation loss (the lower of two).

    Args:
        metrics: One value per network, by metric.

    Examples:
        >>> pick_best_and_median({"val_loss": [0.3, 0.1, 0.2]})
        (1, 2)
    """
    order = sorted(range(len(metrics["val_loss"])), key=lambda r: metrics["val_loss"][r])
    return order[0], order[(len(order) - 1) // 2]


def draw_trial(
    networks: Population,
    task: Task,
    metrics: Mapping[str, list[float]],
    seeds: Sequence[int],
    history: Sequence[HistoryEntry],
) -> dict[str, bytes]:
    """Draws a trial's best replicate, at the end and during training, and all replicates; content by artifact path.

    Args:
        networks: The replicates.
        task: The task, on the CPU.
        metrics: One value per replicate, by metric.
        seeds: One per replicate.
        history: The replicates at several steps.
    """

    def caption(replicate: int) -> str:
        score, cost, q = (metrics[name][replicate] for name in ("val_score", "connection_cost", "modularity"))
        return f"{task.score_name} {score:.3f}   cost {cost:.2f}   Q {q:.2f}"

    best, median = pick_best_and_median(metrics)
    communities = louvain(weight_graph(networks.network.wiring, {n: t[best] for n, t in networks.tensors.items()}))
    title = f"{task.name}, best replicate (seed {seeds[best]})\n{caption(best)}"
    figure = plot_connectivity(networks, task, best, communities=communities, title=title)
    populations, steps = [entry.population for entry in history], [entry.step for entry in history]
    marks = {best: ", best", median: ", median"} if len(seeds) > 2 else {}
    titles = [f"seed {seed}{marks.get(i, '')}\n{caption(i)}" for i, seed in enumerate(seeds)]
    known = [communities if i == best else None for i in range(len(seeds))]
    page = render_interactive(populations, task, best, steps=steps, communities=communities, title=title)
    return {
        HISTORY: serialize_history(history, best),
        "diagrams/best.png": to_png(figure),
        "diagrams/all_replicates.svg": render_sketches(networks, task, titles, communities=known).encode(),
        SKETCH: render_sketch(networks, task, best, communities=communities).encode(),
        "diagrams/interactive.html": page.encode(),
    }


def draw_front_trial(task: Task, params: Params, history: bytes, *, animated: bool = True) -> dict[str, bytes]:
    """Draws what only trials on the front have: a diagram for print, figures and an animation, by artifact path.

    Args:
        task: The task, on the CPU.
        params: Hyperparameters of the trial.
        history: History of its best replicate; see `serialize_history`.
        animated: Whether to make the animation, which is half of the work and needs more than one entry.
    """
    entries = deserialize_history(history, recipe(task, params).network)
    best = entries[-1].population
    task = task.cast(best.flat.dtype)
    figures = plot_all(best, task)
    files = {"diagrams/best.svg": to_svg(figures.pop("connectivity"))}
    files |= {f"figures/{name}.png": to_png(figure) for name, figure in figures.items()}
    if animated and len(entries) > 1:
        frames = [entries[i] for i in spread_evenly(range(len(entries)), FRAMES)]
        populations, steps = [entry.population for entry in frames], [entry.step for entry in frames]
        files["figures/training.gif"] = render_animation(populations, task, steps=steps)
    return files


def spread_evenly(numbers: Sequence[int], most: int) -> list[int]:
    """Picks at most `most` of the numbers, evenly spread, both ends included.

    Args:
        numbers: Numbers in order.
        most: Number to pick.

    Examples:
        >>> spread_evenly([0, 1, 2, 3, 4], 3)
        [0, 2, 4]
    """
    n = min(len(numbers), most)
    return [numbers[round(i * (len(numbers) - 1) / max(n - 1, 1))] for i in range(n)]
