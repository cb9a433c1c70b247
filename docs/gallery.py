"""Draws the images of docs/gallery.md: python docs/gallery.py [folder from which networks are read if they exist]"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bimt_core import (
    PerNetworkHyperparameters,
    Population,
    SharedHyperparameters,
    Snapshot,
    Task,
    ablate,
    concatenate,
    initialise,
    load_population,
    load_task,
    measure,
    plot_ablation_table,
    plot_cayley_graph,
    plot_connectivity,
    plot_decision_regions,
    plot_embedding_rings,
    plot_filters,
    plot_loss_curves,
    plot_network_3d,
    plot_neuron_values,
    plot_predictions,
    plot_strips,
    plot_variant_grid,
    prune,
    render_animation,
    save_population,
    score_neuron_ablations,
    start,
    to_png,
    train,
)

IMAGES = Path(__file__).parent / "images" / "gallery"
SYMBOLIC = ("independence", "feature_sharing", "compositionality")
STEPS = {"modular_addition": 6000, "permutation_s4": 10_000, "in_context": 2500, "digits": 2500, "two_moons": 10_001}
FRAMES = (200, 400, 700, 1000, 1500, 2000, 3000, 4000, 5000, 5200, 5600, 10_001)


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    draw_formulas()
    draw_moons()
    draw_tokens(train_network("modular_addition", folder, learning_rate=2e-3), load_task("modular_addition"))
    draw_tokens(train_network("permutation_s4", folder), load_task("permutation_s4"))
    draw_sequences(train_network("in_context", folder, cost_weight=5e-3))
    draw_images(train_network("digits", folder))


def write(name: str, png: bytes) -> None:
    (IMAGES / f"{name}.png").write_bytes(png)


def train_networks(
    task: Task,
    per_network: Sequence[PerNetworkHyperparameters],
    steps: int,
    snapshot_at: Sequence[int],
    relocation: str = "assignment",
) -> list[Snapshot]:
    """Trains with the published phases of lambda in fewer steps; returns the start and every snapshot."""
    shared: SharedHyperparameters = replace(task.shared, steps=steps, relocation=relocation, move_moments=True)
    first = start(initialise(task.network, [task.model_seed] * len(per_network), dtype=task.dtype))
    return [first, *train(first, task, per_network, shared, snapshot_at)]


def train_network(name: str, folder: Path | None, **per_network: float) -> Population:
    """Trains a network on a task for `STEPS` and saves it in the folder, or reads it from there."""
    task, path = load_task(name), None if folder is None else folder / f"{name}.safetensors"
    if path is not None and path.is_file():
        return load_population(path)
    population = train_networks(task, [replace(task.per_network, **per_network)], STEPS[name], [STEPS[name]])[
        -1
    ].population
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_population(population, path)
    return population


def draw_formulas() -> None:
    """Draws the effect of the parts of BIMT, and one training."""
    steps, networks, tasks = 5000, {}, {name: load_task(name) for name in SYMBOLIC}
    for name, task in tasks.items():
        k = task.per_network
        unmoved = [replace(k, cost_weight=0.0), replace(k, weight_factor=0.0), k]
        fixed = train_networks(task, unmoved, steps, [steps], "none")[-1].population
        moved = train_networks(task, [replace(k, weight_factor=0.0), k], steps, [steps])[-1].population
        variants = ("vanilla", "L1", "L1 + local", "L1 + relocation", "BIMT")
        every = concatenate([fixed, moved])
        networks[name] = {variant: every.select([i]) for i, variant in enumerate(variants)}
    write("variant_grid", to_png(plot_variant_grid(networks, tasks)))
    task = tasks["independence"]
    snapshots = train_networks(task, [task.per_network], steps, range(100, steps + 1, 100))
    rows = [(s.step, {n: v.item() for n, v in measure(s.population, task, transforms=()).items()}) for s in snapshots]
    write("loss_curves", to_png(plot_loss_curves(rows, title="independence: the terms of the loss")))
    network = snapshots[-1].population
    write("predictions", to_png(plot_predictions(network, task)))
    figure = plot_connectivity(network, task, title="independence\nin the paper's blue and red", colours="paper")
    write("connectivity", to_png(figure))


def draw_moons() -> None:
    """Draws an animation, decision regions, and the network without some of its parts."""
    task = load_task("two_moons")
    snapshots = train_networks(task, [task.per_network], STEPS["two_moons"], FRAMES)
    animation = render_animation([s.population for s in snapshots], task, steps=[s.step for s in snapshots])
    (IMAGES / "animation.gif").write_bytes(animation)
    whole = snapshots[-1].population
    write("decision_regions", to_png(plot_decision_regions(whole, task)))
    without = score_neuron_ablations(whole, task, 0)
    worst = min((node for node in without if node[0] != task.network.wiring.inputs.name), key=without.__getitem__)
    variants = {
        "as trained": whole,
        "without weights below 0.05": prune(whole, 0.05),
        f"without {worst[0]} neuron {worst[1] + 1}": ablate(whole, [worst]),
    }
    write("surgery", to_png(plot_variant_grid({task.name: variants}, {task.name: task})))


def draw_tokens(population: Population, task: Task) -> None:
    name = task.name
    write(f"{name}_connectivity", to_png(plot_connectivity(population, task, title=name.replace("_", " "))))
    write(f"{name}_ablation_table", to_png(plot_ablation_table(population, task)))
    if name == "modular_addition":
        write("embedding_rings", to_png(plot_embedding_rings(population, task)))
        return
    write("strip_plots", to_png(plot_strips(population, task)))
    write("cayley_graph", to_png(plot_cayley_graph(population, task)))


def draw_sequences(population: Population) -> None:
    task = load_task("in_context")
    write("in_context_connectivity", to_png(plot_connectivity(population, task, title="in-context regression"), dpi=70))
    write("neuron_values", to_png(plot_neuron_values(population, task)))


def draw_images(population: Population) -> None:
    task = load_task("digits")
    write("network_3d", to_png(plot_network_3d(population, task)))
    write("filters", to_png(plot_filters(population, task)))


if __name__ == "__main__":
    main()
