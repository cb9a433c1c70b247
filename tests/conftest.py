"""What tests of both packages share."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

pytest.register_assert_rewrite("support.study_cases")

torch.set_num_threads(1)
hypothesis.settings.register_profile("same examples every run", derandomize=True, deadline=None, max_examples=40)
hypothesis.settings.load_profile("same examples every run")

CHROMIUM = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1240,1000")

Reference = tuple[dict[str, Any], dict[str, NDArray[Any]]]


@pytest.fixture(autouse=True)
def _no_store_from_outside(monkeypatch):
    for name in ("BIMT_ADDRESS", "BIMT_STORE", "BIMT_STORAGE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # each takes seconds


@pytest.fixture(scope="session")
def reference() -> Callable[[str], Reference]:
    """Reads figures measured on the published code: facts by case, and arrays by name (tests/reference/README.md)."""

    def read(name: str) -> Reference:
        path = Path(__file__).parent / "reference" / name
        with np.load(path.with_suffix(".npz")) as arrays:
            return json.loads(path.with_suffix(".json").read_text()), dict(arrays)

    return read


@pytest.fixture(scope="session")
def small():
    """Plain data of a small sweep of two moons, with changes; a change to None leaves the entry out."""

    def data(**changes):
        whole = {
            "name": "small",
            "task": "two_moons",
            "search": {"cost_weight": {"low": 1e-4, "high": 1e-2, "log": True}, "steps": 40},
            "objectives": [
                {"metric": "val_score", "direction": "maximize"},
                {"metric": "connection_cost", "direction": "minimize"},
            ],
            "trials": 3,
            "replicates": 2,
            "evaluations": 2,
        }
        return {name: value for name, value in (whole | changes).items() if value is not None}

    return data


@pytest.fixture(scope="session")
def small_spec(small):
    from sweeps.spec.sweep import parse_spec

    return lambda **changes: parse_spec(small(**changes))


@dataclass(frozen=True)
class Browser:
    """A headless Chromium.

    Attributes:
        driver: Selenium's WebDriver.
    """

    driver: Any

    def open(self, path: Path) -> Any:
        """Opens a file and returns the WebDriver; what earlier pages logged is forgotten."""
        self.driver.get("about:blank")
        for log in ("browser", "performance"):
            self.driver.get_log(log)
        self.driver.get(path.as_uri())
        return self.driver

    def complaints(self) -> list[str]:
        """Errors of the page since it was opened, and every address outside of the page that it asked for."""
        logged = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return logged + [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]


@pytest.fixture(scope="session")
def browser(tmp_path_factory) -> Iterator[Browser]:
    """A real browser; tests that need one skip where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium (pip install selenium)")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("needs the programs chromium and chromedriver (Debian: apt install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*CHROMIUM, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chromium = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield Browser(chromium)
    finally:
        chromium.quit()


JARGON = re.compile(r"function-|Range\.|type=|https?://|Input should|validation error|Value error|union|pydantic")


@pytest.fixture(scope="session")
def problems_of():
    """The lines that a user reads of a bad sweep file, each without the file's name."""

    from sweeps.errors import BadInputError
    from sweeps.spec.sweep import parse_spec

    def problems(data):
        with pytest.raises(BadInputError) as caught:
            parse_spec(data, source="my.yaml")
        assert str(caught.value).splitlines() == list(caught.value.problems)
        for line in caught.value.problems:
            assert line.startswith("my.yaml: ")
            assert not JARGON.search(line), line
        return [line.removeprefix("my.yaml: ") for line in caught.value.problems]

    return problems


@pytest.fixture(scope="session")
def three():
    """Evaluations of a cohort of three trials with two replicates each. Read only."""
    from support.cohorts import THREE, train_all

    return train_all(THREE)
