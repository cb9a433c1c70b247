"""The pictures of a trial, as files."""

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

FRAMES = 7  # of a film; a picture takes some 30 ms
HISTORY, SKETCH = "history.safetensors", "diagrams/sketch.svg"


def pick_best_and_median(figures: Mapping[str, list[float]]) -> tuple[int, int]:
    """The replicates of lowest and of median test loss."""
    order = sorted(range(len(figures["test_loss"])), key=lambda r: figures["test_loss"][r])
    return order[0], order[(len(order) - 1) // 2]


def draw_trial(
    networks: Population,
    task: Task,
    values: Mapping[str, list[float]],
    seeds: tuple[int, ...],
    history: Sequence[HistoryEntry],
) -> dict[str, bytes]:
    """What is to be seen of a trial: its best replicate, now and along training, and all replicates.

    Args:
        networks: The replicates.
        the_task: The task, on the CPU.
        values: Each metric's values over the replicates.
        seeds: One a replicate.
        history: The replicates along training.

    Returns:
        Artifact path to content.
    """

    def caption(replicate: int) -> str:
        score, cost, q = (values[name][replicate] for name in ("score", "connection_cost", "modularity"))
        return f"{task.score_name} {score:.3f}   cost {cost:.2f}   Q {q:.2f}"

    best, median = pick_best_and_median(values)
    found = louvain(weight_graph(networks.network.wiring, {n: t[best] for n, t in networks.tensors.items()}))
    title = f"{task.name}, best replicate (seed {seeds[best]})\n{caption(best)}"
    figure = plot_connectivity(networks, task, best, communities=found, title=title)
    populations, steps = [m.population for m in history], [m.step for m in history]
    marks = {best: ", best", median: ", median"} if len(seeds) > 2 else {}
    titles = [f"seed {seed}{marks.get(i, '')}\n{caption(i)}" for i, seed in enumerate(seeds)]
    known = [found if i == best else None for i in range(len(seeds))]
    return {
        HISTORY: serialize_history(history, best),
        "diagrams/best.png": to_png(figure),
        "diagrams/all_replicates.svg": render_sketches(networks, task, titles, communities=known).encode(),
        SKETCH: render_sketch(networks, task, best, communities=found).encode(),
        "diagrams/interactive.html": render_interactive(
            populations, task, best, steps=steps, communities=found, title=title
        ).encode(),
    }


def draw_front_trial(task: Task, params: Params, history: bytes, *, filmed: bool = True) -> dict[str, bytes]:
    """What is to be seen beyond that of a trial on the front: the diagram for print, the task's figures, and a film.

    Args:
        the_task: The task, on the CPU.
        params: The trial's hyperparameters.
        history: Its best replicate along training; see `history.to_safetensors`.
        filmed: Whether to make the film, half of the work.

    Returns:
        Artifact path to content; no film where only the end of training was kept.
    """
    moments = deserialize_history(history, recipe(task, params).network)
    best = moments[-1].population
    same_numbers = task.in_dtype(best.flat.dtype)
    drawn = plot_all(best, same_numbers)
    files = {"diagrams/best.svg": to_svg(drawn.pop("connectivity"))}
    files |= {f"figures/{name}.png": to_png(figure) for name, figure in drawn.items()}
    if filmed and len(moments) > 1:
        shown = [moments[i] for i in spread_evenly(range(len(moments)), FRAMES)]
        files["figures/training.gif"] = render_animation(
            [m.population for m in shown], same_numbers, steps=[m.step for m in shown]
        )
    return files


def spread_evenly(numbers: Sequence[int], most: int) -> list[int]:
    """At most so many of the numbers, evenly spread, the ends among them."""
    n = min(len(numbers), most)
    return [numbers[round(i * (len(numbers) - 1) / max(n - 1, 1))] for i in range(n)]
