"""Draws the README's picture: python docs/pictures.py"""

from dataclasses import replace
from pathlib import Path

from bimt_core import (
    SharedHyperparameters,
    concatenate,
    contact_sheet,
    initialise,
    load_task,
    measure,
    start,
    to_png,
    train,
)

STEPS = (500, 3000, 10_001)


def main() -> None:
    moons = load_task("two_moons")
    shared: SharedHyperparameters = replace(moons.shared, relocation="assignment", move_moments=True)
    first = start(initialise(moons.network, [moons.model_seed]))
    snapshots = [first, *train(first, moons, [moons.per_network], shared, STEPS)]
    titles = []
    for snapshot in snapshots:
        figures = {name: value.item() for name, value in measure(snapshot.population, moons).items()}
        weights, accuracy = int(figures["active_weights"]), figures["score"]
        titles.append(f"step {snapshot.step:,}\naccuracy {accuracy:.3f}   {weights} weights")
    sheet = contact_sheet(concatenate([snapshot.population for snapshot in snapshots]), moons, titles)
    (Path(__file__).parent / "images" / "two_moons.png").write_bytes(to_png(sheet))


if __name__ == "__main__":
    main()
