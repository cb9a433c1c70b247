"""Export: a trial's configuration, networks, metrics and pictures as files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bimt_core import METRICS, save_population
from sweeps.errors import BadInputError
from sweeps.results.confirmations import describe_confirmation
from sweeps.study.trial import Networks

if TYPE_CHECKING:
    from sweeps.results.sweep import Sweep

CONFIGURATION, WEIGHTS, REPLICATES = "config.yaml", "weights.safetensors", "replicates.json"
OF_RUN = (CONFIGURATION, WEIGHTS, REPLICATES, "diagrams")  # artifacts of the trial's own run
CONFIRMATION, CONFIRMED_WEIGHTS = "confirmation.json", "confirmation.safetensors"


def export_trial(sweep: "Sweep", number: int, folder: Path) -> list[Path]:
    """Writes the files of a trial; see `Sweep.export`.

    Args:
        sweep: The sweep.
        number: Number of a completed trial.
        folder: Destination, created if missing.

    Raises:
        BadInputError: If the folder cannot be written.
        StoreError: If its artifacts are not (yet) in MLflow.
    """
    trial = next(trial for trial in sweep.completed_trials() if trial.number == number)
    judged = next((one for one in sweep.confirmed_trials() if one.trial.number == number), None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"folder must be writable, got {folder}: {error.strerror}") from error
    paths = [sweep.download(number, name, folder) for name in OF_RUN]
    _add_networks(sweep, number, trial.seeds, trial.networks, folder)
    described: dict[str, Any] = {"sweep": sweep.spec.name, "published": sweep.spec.published}
    described |= describe_confirmation(trial, judged, sweep.spec)
    if judged is not None:
        population, _ = sweep.population(number, "confirmation")
        save_population(population, folder / CONFIRMED_WEIGHTS)
        paths.append(folder / CONFIRMED_WEIGHTS)
        described["replicates"] = make_table(judged.confirmation.seeds, judged.confirmation.networks)
    (folder / CONFIRMATION).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    return [*paths, folder / CONFIRMATION]


def make_table(seeds: tuple[int, ...], networks: Networks) -> dict[str, Any]:
    """Makes a table with a row per network, as MLflow has it.

    Args:
        seeds: Seed of each network.
        networks: One value per network, by metric.
    """
    rows = [[seed, *(networks[name][i] for name in METRICS)] for i, seed in enumerate(seeds)]
    return {"columns": ["seed", *METRICS], "data": rows}


def _add_networks(sweep: "Sweep", number: int, seeds: tuple[int, ...], networks: Networks, folder: Path) -> None:
    """Adds to the exported files the networks that later entries have added to the trial, if any."""
    configuration = yaml.safe_load((folder / CONFIGURATION).read_text(encoding="utf-8"))
    if len(configuration["seeds"]) == len(seeds):
        return
    population, _ = sweep.population(number)
    save_population(population, folder / WEIGHTS)
    (folder / REPLICATES).write_text(json.dumps(make_table(seeds, networks)), encoding="utf-8")
    text = yaml.safe_dump(configuration | {"seeds": list(seeds)}, sort_keys=False)
    (folder / CONFIGURATION).write_text(text, encoding="utf-8")
