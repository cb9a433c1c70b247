"""The report of a sweep of 200 trials: its size, the time to make it, and the time to open it in Chromium.

    python benchmarks/report.py [--trials N] [--output FILE] [--json]

Metrics are synthetic, and the sketches show initial networks with most weights removed. The front is confirmed with 16
networks. The time to make the report includes reading the sketches from MLflow (SQLite and local files). The time to
open it ends when its first chart is drawn. Without selenium, chromium or chromedriver, the report is made but not
opened.
"""

import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from _printing import describe_machine, make_parser, print_json
from _synthetic import ROW_STDERR, make_metrics, make_spec

from bimt_core import initialise, render_sketch
from sweeps import Store, SweepSpec, open_sweep
from sweeps.pages.report import render_report
from sweeps.run.agenda import Agenda
from sweeps.run.finish import mark_confirmed, mark_front
from sweeps.run.suggestions import Suggester
from sweeps.study.study import SweepStudy
from sweeps.study.trial import Trial
from sweeps.tracking.records import SweepRecords
from sweeps.tracking.run_writer import Target
from sweeps.tracking.tracker import Tracker
from sweeps.worker.artifacts import SKETCH

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1280,900")


def fill(store: Store, spec: SweepSpec) -> None:
    """Completes all trials and confirms the front, as a driver would."""
    store.prepare(spec.name)
    study = SweepStudy.launch(store, spec)
    target = Target(store.mlflow_uri, spec.name, str(store.artifacts), "")
    tracker = Tracker(target, store.work_folder(spec.name) / "spool")
    tracker.record(SweepRecords(spec, study.sweep_id).describe_sweep_start())
    suggester = Suggester(spec)
    agenda = Agenda(study, suggester)
    while not agenda.is_done():
        for trial in agenda.start_trials(len(spec.seeds)):
            complete(study, tracker, trial)
    suggester.close()
    mark_front(study, tracker, {})
    mark_confirmed(study, tracker)
    assert tracker.close() == 0


def complete(study: SweepStudy, tracker: Tracker, trial: Trial) -> None:
    """Completes a trial with synthetic metrics, and records it with a sketch."""
    records, task = SweepRecords(study.spec, study.sweep_id), study.spec.load_task()
    metrics = make_metrics(trial.number, trial.params, len(trial.seeds))
    network = initialise(task.network, [trial.number], dtype=task.dtype)
    density = metrics["active_weights"][0] / network.flat.numel()
    sparse = replace(network, flat=network.flat * (torch.rand(network.flat.shape) < density))
    tracker.record(records.describe_trial_start(trial))
    pooled = study.complete(trial.number, metrics, ROW_STDERR)
    result, files = {"step": 1, "host": "none", "device": "cpu"}, {SKETCH: render_sketch(sparse, task).encode()}
    tracker.record(records.describe_trial_end(study.known_entries()[trial.number], result, files))
    if pooled.number != trial.number:
        tracker.record(records.describe_added_networks(pooled))


def measure_opening(page: Path) -> float | None:
    """Measures the seconds until the first chart is drawn in headless Chromium; None if it is not installed."""
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    try:
        from selenium import webdriver
    except ImportError:
        return None
    if driver is None or chromium is None:
        return None
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
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
    parser = make_parser(__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--output", type=Path, help="keep the report in this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        store, spec = Store.resolve(folder), make_spec(options.trials, task="independence", confirmed=True)
        fill(store, spec)
        begin = time.perf_counter()
        html = render_report(open_sweep(spec.name, store))
        making_s = time.perf_counter() - begin
        page = options.output or Path(folder) / "report.html"
        page.write_text(html, encoding="utf-8")
        opening_s = measure_opening(page.absolute())
    values = {"trials": options.trials, "megabytes": len(html.encode()) / 1e6}
    values |= {"seconds to make": making_s, "seconds to open": opening_s}
    if options.json:
        print_json(values)
    else:
        print(describe_machine())
        for name, value in values.items():
            print(f"{name}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}")


if __name__ == "__main__":
    main()
