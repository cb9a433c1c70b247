"""Draws the pictures of docs/gallery.md: python docs/gallery.py [folder of networks to keep and to start from]"""

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
    contact_sheet,
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
    draw_tokens(trained("modular_addition", folder, learning_rate=2e-3), load_task("modular_addition"))
    draw_tokens(trained("permutation_s4", folder), load_task("permutation_s4"))
    draw_sequences(trained("in_context", folder, cost_weight=5e-3))
    draw_images(trained("digits", folder))


def write(name: str, png: bytes) -> None:
    (IMAGES / f"{name}.png").write_bytes(png)


def trainings(
    of: Task,
    per_network: Sequence[PerNetworkHyperparameters],
    steps: int,
    snapshot_at: Sequence[int],
    relocation: str = "assignment",
) -> list[Snapshot]:
    """Short trainings with the published phases of lambda: the start and every snapshot."""
    shared: SharedHyperparameters = replace(of.shared, steps=steps, relocation=relocation, move_moments=True)
    first = start(initialise(of.network, [of.model_seed] * len(per_network), dtype=of.dtype))
    return [first, *train(first, of, per_network, shared, snapshot_at)]


def trained(name: str, folder: Path | None, **per_network: float) -> Population:
    """A network trained on a task for `STEPS`, or read from the folder, where it is kept."""
    of, path = load_task(name), None if folder is None else folder / f"{name}.safetensors"
    if path is not None and path.is_file():
        return load_population(path)
    population = trainings(of, [replace(of.per_network, **per_network)], STEPS[name], [STEPS[name]])[-1].population
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_population(population, path)
    return population


def draw_formulas() -> None:
    """What the parts of BIMT do, and one training in figures."""
    steps, networks = 5000, {}
    for name in SYMBOLIC:
        of, k = load_task(name), load_task(name).per_network
        still = [replace(k, cost_weight=0.0), replace(k, weight_factor=0.0), k]
        fixed = trainings(of, still, steps, [steps], "none")[-1].population
        moved = trainings(of, [replace(k, weight_factor=0.0), k], steps, [steps])[-1].population
        methods = ("vanilla", "L1", "L1 + local", "L1 + swap", "BIMT")
        every = concatenate([fixed, moved])
        networks[name] = {method: every.select([i]) for i, method in enumerate(methods)}
    write("ablation_grid", to_png(plot_variant_grid(networks, {name: load_task(name) for name in SYMBOLIC})))
    of = load_task("independence")
    snapshots = trainings(of, [of.per_network], steps, range(100, steps + 1, 100))
    rows = [(s.step, {n: v.item() for n, v in measure(s.population, of, transforms=()).items()}) for s in snapshots]
    write("loss_curves", to_png(plot_loss_curves(rows, title="independence: the terms of the loss")))
    network = snapshots[-1].population
    write("predicted_against_true", to_png(plot_predictions(network, of)))
    figure = plot_connectivity(network, of, title="independence\nin the paper's blue and red", colours="paper")
    write("connectivity", to_png(figure))


def draw_moons() -> None:
    """A film, decision regions, and what is left when parts are taken away."""
    of = load_task("two_moons")
    snapshots = trainings(of, [of.per_network], STEPS["two_moons"], FRAMES)
    (IMAGES / "film.gif").write_bytes(
        render_animation([s.population for s in snapshots], of, steps=[s.step for s in snapshots])
    )
    whole = snapshots[-1].population
    write("decision_regions", to_png(plot_decision_regions(whole, of)))
    without = score_neuron_ablations(whole, of, 0)
    worst = min((node for node in without if node[0] != of.network.wiring.inputs.name), key=without.__getitem__)
    variants = [whole, prune(whole, 0.05), ablate(whole, [worst])]
    titles = ["as trained", "without weights below 0.05", f"without {worst[0]} neuron {worst[1] + 1}"]
    every = concatenate(variants)
    accuracy = [f"accuracy {score:.3f}" for score in measure(every, of, transforms=())["score"].tolist()]
    sheet = contact_sheet(every, of, [f"{title}\n{told}" for title, told in zip(titles, accuracy, strict=True)])
    write("surgery", to_png(sheet))


def draw_tokens(population: Population, of: Task) -> None:
    """What a network of tokens has made of them."""
    name = of.name
    write(f"{name}_connectivity", to_png(plot_connectivity(population, of, title=name.replace("_", " "))))
    write(f"{name}_knock_out_table", to_png(plot_ablation_table(population, of)))
    if name == "modular_addition":
        write("embedding_rings", to_png(plot_embedding_rings(population, of)))
        return
    write("strip_plots", to_png(plot_strips(population, of)))
    write("cayley_graph", to_png(plot_cayley_graph(population, of)))


def draw_sequences(population: Population) -> None:
    of = load_task("in_context")
    write("in_context_connectivity", to_png(plot_connectivity(population, of, title="in-context regression"), dpi=70))
    write("neuron_values", to_png(plot_neuron_values(population, of)))


def draw_images(population: Population) -> None:
    of = load_task("digits")
    write("network_3d", to_png(plot_network_3d(population, of)))
    write("filters", to_png(plot_filters(population, of)))


if __name__ == "__main__":
    main()
