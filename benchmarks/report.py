"""The picture book of a sweep of 200 trials: its size, the time to make it, and the time to open it in Chromium.

The sweep is made up: figures follow lambda with some noise, networks are initial ones with most weights removed.
Reading the diagrams from MLflow (SQLite and local files) is part of making it. It is open when the page is loaded and
its first chart is drawn. Without selenium, chromium or chromedriver the page is made but not opened.
"""

import argparse
import json
import math
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import machine

from bimt_core import METRICS, initialise, load_task, render_sketch
from sweeps.pages.report import render_report
from sweeps.results.sweep import open_sweep
from sweeps.spec.sweep import SweepSpec, parse_spec
from sweeps.store import Store
from sweeps.study.study import SweepStudy
from sweeps.tracking import records
from sweeps.tracking.run_writer import Target
from sweeps.tracking.tracker import Tracker

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1280,900")


def spec_of(trials: int) -> SweepSpec:
    return parse_spec(
        {
            "name": "made_up",
            "description": "Figures of no real networks, to measure the picture book",
            "task": "independence",
            "search": {
                "cost_weight": {"low": 3e-4, "high": 3e-2, "log": True},
                "weight_factor": {"low": 0.0, "high": 4.0},
                "layer_distance": {"low": 0.05, "high": 0.5, "log": True},
                "hidden_width": {"low": 10, "high": 20},
            },
            "objectives": [
                {"metric": "score", "direction": "maximize"},
                {"metric": "connection_cost", "direction": "minimize"},
            ],
            "constraints": ["score >= 0.5"],
            "trials": trials,
            "sampler": "random",
        }
    )


def figures_of(params: dict[str, Any], random: np.random.Generator) -> dict[str, list[float]]:
    """Metric name to four values, which fall and rise with lambda."""
    strength = math.log10(params["cost_weight"] / 3e-4) / 2  # 0 to 1
    wiring = 60 * math.exp(-3 * strength) + 4 * params["layer_distance"]
    centres = dict.fromkeys(METRICS, 1.0) | {
        "score": 1 - 0.7 * max(0.0, strength - 0.55) ** 1.5,
        "connection_cost": wiring,
        "modularity": 0.2 + 0.5 * strength,
        "communities": 2 + 4 * strength,
        "active_weights": 4 * wiring,
    }
    return {name: (centre * (1 + 0.03 * random.standard_normal(4))).tolist() for name, centre in centres.items()}


def fill(store: Store, spec: SweepSpec) -> None:
    """Asks and tells all trials, as a driver would."""
    store.prepare(spec.name)
    study, random = SweepStudy.launch(store, spec), np.random.default_rng(0)
    tracker = Tracker(
        Target(store.mlflow_uri, spec.name, str(store.artifacts), ""), store.work_folder(spec.name) / "spool"
    )
    tracker.record(records.describe_sweep_start(spec, study.sweep_id))
    t = load_task(spec.task)
    for _ in range(spec.trials):
        attempt = study.ask()
        assert attempt is not None
        figures = figures_of(attempt.params, random)
        network = initialise(t.network, [attempt.number], dtype=t.dtype)
        left = figures["active_weights"][0] / network.flat.numel()
        sparse = replace(network, flat=network.flat * (torch.rand(network.flat.shape) < left))
        files = {"diagrams/sketch.svg": render_sketch(sparse, t).encode()}
        tracker.record(records.describe_trial_start(spec, study.sweep_id, attempt))
        result = {"step": 1, "host": "none", "device": "cpu"}
        tracker.record(records.describe_trial_end(spec, study.sweep_id, attempt.number, figures, result, files))
        study.complete(attempt.number, *records.summarize_replicates(figures))
    assert tracker.close() == 0


def seconds_to_open(page: Path) -> float | None:
    """From asking for the page to its first chart, in headless Chromium; None where there is none."""
    driver = shutil.which("chromedriver")
    try:
        from selenium import webdriver
    except ImportError:
        return None
    if driver is None or shutil.which("chromium") is None:
        return None
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    with tempfile.TemporaryDirectory() as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        try:
            browser.get("about:blank")
            begin = time.perf_counter()
            browser.get(page.as_uri())
            while not browser.find_elements("css selector", "[data-drawn]"):
                time.sleep(0.02)
            return time.perf_counter() - begin
        finally:
            browser.quit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--output", type=Path, help="keep the page in this file")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        store, spec = Store.resolve(folder), spec_of(given.trials)
        fill(store, spec)
        begin = time.perf_counter()
        html = render_report(open_sweep(spec.name, store))
        made = time.perf_counter() - begin
        page = given.output or Path(folder) / "report.html"
        page.write_text(html, encoding="utf-8")
        opened = seconds_to_open(page.absolute())
    found = {
        "machine": machine(),
        "trials": given.trials,
        "megabytes": len(html.encode()) / 1e6,
        "seconds to make": made,
        "seconds to open": opened,
    }
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        print(
            "\n".join(
                f"{name}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}"
                for name, value in found.items()
            )
        )


if __name__ == "__main__":
    main()
