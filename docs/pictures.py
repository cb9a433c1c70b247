"""Draws the image of the README: python docs/pictures.py"""

from dataclasses import replace
from pathlib import Path

from bimt_core import SharedHyperparameters, initialise, load_task, measure, plot_variant_grid, start, to_png, train

STEPS = (500, 3000, 10_001)


def main() -> None:
    moons = load_task("two_moons")
    shared: SharedHyperparameters = replace(moons.shared, relocation="assignment", move_moments=True)
    first = start(initialise(moons.network, [moons.model_seed]))
    snapshots = [first, *train(first, moons, [moons.per_network], shared, STEPS)]
    networks = {}
    for snapshot in snapshots:
        weights = measure(snapshot.population, moons, transforms=())["active_weights"].item()
        networks[f"step {snapshot.step:,}: {weights:.0f} weights"] = snapshot.population
    figure = plot_variant_grid({moons.name: networks}, {moons.name: moons})
    (Path(__file__).parent / "images" / "two_moons.png").write_bytes(to_png(figure))


if __name__ == "__main__":
    main()
