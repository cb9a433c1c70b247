"""Draws the pictures of docs/gallery.md: python docs/gallery.py [folder of networks to keep and to start from]"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bimt_core import (
    Knobs,
    Population,
    Schedule,
    Snapshot,
    Task,
    ablation_grid,
    cayley_graph,
    concatenate,
    connectivity,
    contact_sheet,
    decision_regions,
    embedding_rings,
    film,
    filters,
    initialise,
    knock_out,
    knock_out_neurons,
    knock_out_table,
    load_population,
    loss_curves,
    measure,
    network_3d,
    neuron_values,
    predicted_against_true,
    prune,
    save_population,
    start,
    strip_plots,
    task,
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
    draw_tokens(trained("modular_addition", folder, learning_rate=2e-3), task("modular_addition"))
    draw_tokens(trained("permutation_s4", folder), task("permutation_s4"))
    draw_sequences(trained("in_context", folder, cost_weight=5e-3))
    draw_images(trained("digits", folder))


def write(name: str, png: bytes) -> None:
    (IMAGES / f"{name}.png").write_bytes(png)


def trainings(
    of: Task, knobs: Sequence[Knobs], steps: int, report_at: Sequence[int], relocation: str = "assignment"
) -> list[Snapshot]:
    """Short trainings with the published phases of lambda: the start and every snapshot."""
    schedule: Schedule = replace(of.schedule, steps=steps, relocation=relocation, move_moments=True)
    first = start(initialise(of.network, [of.model_seed] * len(knobs), dtype=of.dtype))
    return [first, *train(first, of, knobs, schedule, report_at)]


def trained(name: str, folder: Path | None, **knobs: float) -> Population:
    """A network trained on a task for `STEPS`, or read from the folder, where it is kept."""
    of, path = task(name), None if folder is None else folder / f"{name}.safetensors"
    if path is not None and path.is_file():
        return load_population(path)
    population = trainings(of, [replace(of.knobs, **knobs)], STEPS[name], [STEPS[name]])[-1].population
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_population(population, path)
    return population


def draw_formulas() -> None:
    """What the parts of BIMT do, and one training in figures."""
    steps, networks = 5000, {}
    for name in SYMBOLIC:
        of, k = task(name), task(name).knobs
        still = [replace(k, cost_weight=0.0), replace(k, weight_factor=0.0), k]
        fixed = trainings(of, still, steps, [steps], "none")[-1].population
        moved = trainings(of, [replace(k, weight_factor=0.0), k], steps, [steps])[-1].population
        methods = ("vanilla", "L1", "L1 + local", "L1 + swap", "BIMT")
        every = concatenate([fixed, moved])
        networks[name] = {method: every.select([i]) for i, method in enumerate(methods)}
    write("ablation_grid", to_png(ablation_grid(networks, {name: task(name) for name in SYMBOLIC})))
    of = task("independence")
    snapshots = trainings(of, [of.knobs], steps, range(100, steps + 1, 100))
    rows = [(s.step, {n: v.item() for n, v in measure(s.population, of, transforms=()).items()}) for s in snapshots]
    write("loss_curves", to_png(loss_curves(rows, title="independence: the terms of the loss")))
    network = snapshots[-1].population
    write("predicted_against_true", to_png(predicted_against_true(network, of)))
    figure = connectivity(network, of, title="independence\nin the paper's blue and red", colours="paper")
    write("connectivity", to_png(figure))


def draw_moons() -> None:
    """A film, decision regions, and what is left when parts are taken away."""
    of = task("two_moons")
    snapshots = trainings(of, [of.knobs], STEPS["two_moons"], FRAMES)
    (IMAGES / "film.gif").write_bytes(film([s.population for s in snapshots], of, steps=[s.step for s in snapshots]))
    whole = snapshots[-1].population
    write("decision_regions", to_png(decision_regions(whole, of)))
    without = knock_out_neurons(whole, of, 0)
    worst = min((node for node in without if node[0] != of.network.wiring.inputs.name), key=without.__getitem__)
    variants = [whole, prune(whole, 0.05), knock_out(whole, [worst])]
    titles = ["as trained", "without weights below 0.05", f"without {worst[0]} neuron {worst[1] + 1}"]
    every = concatenate(variants)
    accuracy = [f"accuracy {score:.3f}" for score in measure(every, of, transforms=())["score"].tolist()]
    sheet = contact_sheet(every, of, [f"{title}\n{told}" for title, told in zip(titles, accuracy, strict=True)])
    write("surgery", to_png(sheet))


def draw_tokens(population: Population, of: Task) -> None:
    """What a network of tokens has made of them."""
    name = of.name
    write(f"{name}_connectivity", to_png(connectivity(population, of, title=name.replace("_", " "))))
    write(f"{name}_knock_out_table", to_png(knock_out_table(population, of)))
    if name == "modular_addition":
        write("embedding_rings", to_png(embedding_rings(population, of)))
        return
    write("strip_plots", to_png(strip_plots(population, of)))
    write("cayley_graph", to_png(cayley_graph(population, of)))


def draw_sequences(population: Population) -> None:
    of = task("in_context")
    write("in_context_connectivity", to_png(connectivity(population, of, title="in-context regression"), dpi=70))
    write("neuron_values", to_png(neuron_values(population, of)))


def draw_images(population: Population) -> None:
    of = task("digits")
    write("network_3d", to_png(network_3d(population, of)))
    write("filters", to_png(filters(population, of)))


if __name__ == "__main__":
    main()
