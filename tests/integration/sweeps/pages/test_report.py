"""The picture book of sweeps that were made up in a ledger, opened and used in a real browser."""

import itertools
import json
import re

import numpy as np
import pytest
import yaml

from bimt_core import METRICS, load_task
from sweeps.pages import report as report_module
from sweeps.pages.parallel_coordinates import SHADES
from sweeps.pages.report import render_report
from sweeps.results.sweep import Sweep, open_sweep
from sweeps.spec.recipe import recipe
from sweeps.spec.sweep import parse_spec
from sweeps.store import Store
from sweeps.study.study import SweepStudy

SCORE, COST, MODULARITY = (
    {"metric": metric, "direction": direction}
    for metric, direction in (("score", "maximize"), ("connection_cost", "minimize"), ("modularity", "maximize"))
)
SEARCH = {
    "cost_weight": {"low": 1e-4, "high": 1e-1, "log": True},
    "weight_factor": {"low": 0.0, "high": 4.0},
    "relocation": {"choices": ["greedy", "assignment"]},
    "hidden_width": {"low": 4, "high": 9},
    "cost_phases": [[0, 1], [0.5, 2]],
}
FRONT = ((0.99, 30.0), (0.95, 20.0), (0.90, 10.0), (0.5, 1.0))  # score and cost; the rest are beaten by these
BEATEN = tuple((0.4 + 0.01 * i, 31.0 + i) for i in range(10))
DIAGRAM = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">'
    '<path stroke="#1f6fb4" stroke-width="2" d="M1 1L8 8"/></svg>'
)


@pytest.fixture
def made_up(tmp_path, small_spec):
    """Makes sweeps whose trials have given scores and costs; a trial without is told to have failed."""

    def make(values, **changes):
        spec = small_spec(**{"search": SEARCH, "sampler": "random", "trials": 20} | changes)
        store = Store.resolve(tmp_path / "store")
        store.prepare(spec.name)
        study = SweepStudy.launch(store, spec)
        for value in values:
            attempt = study.ask()
            if value is None:
                study.fail(attempt.number, "replicate 0 diverged: <b>its</b> score is nan")
                continue
            mean = dict.fromkeys(METRICS, 1.0) | dict(
                zip(("score", "connection_cost", "modularity"), value, strict=False)
            )
            study.complete(attempt.number, mean, dict.fromkeys(METRICS, 0.01))
        return Sweep(study, store)

    return make


def data_of(page):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def chart(page, place):
    (found,) = [c["figure"] for c in data_of(page)["charts"] if c["place"] == place]
    return found


# What is in it


def test_the_front_comes_first_and_in_order(made_up):
    data = data_of(render_report(made_up([*BEATEN, *reversed(FRONT)]), {}))
    assert data["front"] == [13, 12, 11, 10]
    assert list(data["trials"])[:4] == ["13", "12", "11", "10"]
    assert len(data["trials"]) == 14
    assert data["trials"]["13"]["figures"][0] == ["score", "0.99 ±0.01"]
    assert [name for name, _ in data["trials"]["13"]["params"]] == [
        "cost_weight",
        "weight_factor",
        "relocation",
        "hidden_width",
    ]


def test_a_configuration_trains_the_trial_again(made_up):
    sweep = made_up([*FRONT, None])
    task, frame = load_task("two_moons"), sweep.trials()
    for number, trial in data_of(render_report(sweep, {}))["trials"].items():
        spec = parse_spec(yaml.safe_load(trial["yaml"]))
        assert (spec.trials, spec.seeds, spec.searched) == (1, sweep.spec.seeds, ())
        params = {name: frame.loc[int(number), name] for name in SEARCH}
        again = recipe(task, {name: p.value for name, p in spec.search.items()})
        assert again == recipe(task, params | {"hidden_width": int(params["hidden_width"])})


def test_variants_have_configurations_too(made_up):
    variants = {"vanilla": {"cost_weight": 0, "relocation": "none"}, "BIMT": {"relocation": "greedy"}}
    sweep = made_up(FRONT[:2], search={"steps": 40}, variants=variants, trials=None)
    data = data_of(render_report(sweep, {}))
    assert {dict(trial["params"])["variant"] for trial in data["trials"].values()} == {"vanilla", "BIMT"}
    for trial in data["trials"].values():
        assert parse_spec(yaml.safe_load(trial["yaml"])).variants == {}
    assert [c["place"] for c in data["charts"]] == ["pareto", "parallel", "history"]


def test_text_cannot_leave_the_script_that_holds_it(made_up):
    nasty = "</script><script>alert(1)</script> __PLOTLY__ __DATA__"
    page = render_report(made_up([*FRONT, None], description=nasty), {0: nasty})
    assert "<script>alert(1)" not in page
    assert data_of(page)["description"] == nasty
    assert data_of(page)["reasons"] == [[4, "replicate 0 diverged: <b>its</b> score is nan"]]


def test_diagrams_come_from_the_store(finished):
    data = data_of(render_report(open_sweep("small", finished)))
    assert sorted(data["diagrams"], key=int) == ["0", "2", "4"]
    assert all(svg.startswith("<svg") for svg in data["diagrams"].values())
    assert data["problem"] is None


def test_a_store_that_does_not_answer_is_told(made_up, tmp_path):
    sweep = made_up(FRONT)
    away = Sweep(
        SweepStudy.open(Store.resolve(tmp_path / "store"), "small"),
        Store.resolve(tmp_path, tracking_uri="http://127.0.0.1:9"),
    )
    data = data_of(render_report(away))
    assert data["diagrams"] == {}
    assert data["problem"].startswith("cannot read runs from MLflow: ")
    assert len(data["trials"]) == len(sweep.trials())


def test_diagrams_take_no_more_than_their_room_and_the_front_goes_first(made_up, monkeypatch):
    sweep = made_up([*BEATEN, *FRONT])
    monkeypatch.setattr(report_module, "MOST_DIAGRAMS", 6 * len(DIAGRAM))
    diagrams = data_of(render_report(sweep, dict.fromkeys(range(14), DIAGRAM)))["diagrams"]
    assert len(diagrams) == 6
    assert {"10", "11", "12", "13"} < diagrams.keys()


# Charts


def test_the_front_chart_has_every_trial_with_its_errors(made_up):
    sweep = made_up([*BEATEN, *FRONT], constraints=["score >= 0.45"])
    traces = {trace["name"]: trace for trace in chart(render_report(sweep, {}), "pareto")["data"] if "name" in trace}
    assert traces.keys() == {"Pareto front", "other trials", "breaks a constraint"}
    points = dict(
        zip(
            traces["Pareto front"]["customdata"],
            zip(*(traces["Pareto front"][a] for a in "xy"), strict=True),
            strict=True,
        )
    )
    assert points == {10 + i: pair for i, pair in enumerate(FRONT)}
    assert set(traces["Pareto front"]["error_y"]["array"]) == {0.01}
    assert sorted(n for t in traces.values() for n in t["customdata"]) == list(range(14))


@pytest.mark.parametrize(
    ("first", "second", "corners"),
    [
        (SCORE, COST, [(0.7, 2.0), (0.8, 3.0)]),
        (COST, SCORE, [(2.0, 0.7), (3.0, 0.8)]),
        (COST, MODULARITY | {"direction": "minimize"}, [(2.0, 0.6), (3.0, 0.4)]),
        (SCORE, MODULARITY, [(0.7, 0.4), (0.8, 0.2)]),
    ],
)
def test_the_staircase_is_the_border_of_what_the_front_beats(made_up, first, second, corners):
    trials = [(0.9, 3.0, 0.2), (0.8, 2.0, 0.4), (0.7, 1.0, 0.6)]
    stairs = chart(render_report(made_up(trials, objectives=[first, second]), {}), "pareto")["data"][-1]
    steps = list(itertools.pairwise(zip(stairs["x"], stairs["y"], strict=True)))
    if stairs["line"]["shape"] == "hv":
        assert [(x1, y0) for (_, y0), (x1, _) in steps] == corners
    else:
        assert [(x0, y1) for (x0, _), (_, y1) in steps] == corners


def test_parallel_coordinates_place_values_between_the_ends(made_up):
    sweep = made_up([*BEATEN, *FRONT])
    frame, figure = sweep.trials(), chart(render_report(sweep, {}), "parallel")
    width = frame["hidden_width"].astype(float)
    seen = {}
    for trace in figure["data"]:
        for number, x, y in zip(trace["customdata"], trace["x"], trace["y"], strict=True):
            if x == 3:
                seen[number] = y
    expected = (width - 4) / (9 - 4)
    assert seen == pytest.approx(expected.to_dict())
    assert len(figure["data"]) == len(SHADES) + 1


def test_a_logarithmic_range_has_a_logarithmic_axis(made_up):
    sweep = made_up([*BEATEN, *FRONT])
    frame, figure = sweep.trials(), chart(render_report(sweep, {}), "parallel")
    seen = {}
    for trace in figure["data"]:
        seen |= {n: y for n, x, y in zip(trace["customdata"], trace["x"], trace["y"], strict=True) if x == 0}
    assert seen == pytest.approx((np.log10(frame["cost_weight"].astype(float)) + 4).div(3).to_dict())
    texts = [a["text"] for a in figure["layout"]["annotations"] if a["x"] == 0]
    assert (texts[0], texts[-1]) == ("0.0001", "0.1")


def test_history_has_the_best_of_feasible_trials_so_far(made_up):
    values = [(0.2, 9.0), (0.6, 8.0), (0.5, 7.0), (0.99, 50.0), (0.7, 6.0)]
    sweep = made_up(values, constraints=["connection_cost <= 10"])
    lines = [t for t in chart(render_report(sweep, {}), "history")["data"] if t.get("name") == "best so far"]
    assert lines[0]["x"] == [0, 1, 2, 4]
    assert lines[0]["y"] == [0.2, 0.6, 0.6, 0.7]
    assert lines[1]["y"] == [9.0, 8.0, 7.0, 6.0]


# In a browser


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page and waits for its charts, those further down only if asked; it may complain of nothing."""
    from selenium.webdriver.support.ui import WebDriverWait

    def open_page(page, *, whole=False):
        path = tmp_path / "report.html"
        path.write_text(page, encoding="utf-8")
        driver = browser.open(path)
        first = driver.find_element("css selector", "[data-place]")
        for place in driver.find_elements("css selector", "[data-place]"):
            if place.is_displayed() and place.get_attribute("style") and (whole or place == first):
                driver.execute_script("arguments[0].scrollIntoView()", place)
                WebDriverWait(driver, 20).until(lambda _, p=place: p.get_attribute("data-drawn"))
        driver.execute_script("window.scrollTo(0, 0)")
        return driver

    yield open_page
    assert browser.complaints() == []


def notes(driver):
    return driver.find_element("id", "notes").text


def pinned(driver):
    return [int(c.get_attribute("data-trial")) for c in driver.find_elements("css selector", "#pins .card")]


@pytest.mark.parametrize(
    ("values", "changes", "told", "charts"),
    [
        ([], {}, "No trial has finished yet", 0),
        ([None, None], {}, "No trial has finished yet", 0),
        ([FRONT[0]], {}, "the front is a single point", 4),
        ([*FRONT, *BEATEN], {}, "", 5),
        ([*FRONT, *BEATEN], {"objectives": [SCORE]}, "", 5),
        ([(0.9, 3, 0.1), (0.8, 2, 0.4), (0.8, 2, 0.3)], {"objectives": [SCORE, COST, MODULARITY]}, "", 4),
        (FRONT, {"constraints": ["score >= 2"]}, "so there is no Pareto front", 4),
        (FRONT, {"replicates": 1, "search": {"weight_factor": {"low": 0.0, "high": 4.0}}}, "", 3),
    ],
    ids=["no trials", "all failed", "one point", "two objectives", "one objective", "three", "infeasible", "no lambda"],
)
def test_every_kind_of_sweep_makes_a_page(opened, made_up, values, changes, told, charts):
    driver = opened(render_report(made_up(values, **changes), dict.fromkeys(range(99), DIAGRAM)), whole=True)
    assert told in notes(driver) if told else notes(driver) == ""
    drawn = driver.find_elements("css selector", "[data-drawn]")
    assert len(drawn) == charts
    assert driver.find_element("id", "gallery-section").is_displayed() == bool(charts)
    assert driver.find_element("id", "failures-section").is_displayed() == (None in values)


def test_missing_diagrams_are_told(opened, made_up):
    driver = opened(render_report(made_up(FRONT), {0: DIAGRAM}))
    assert "3 of 4 trials have no diagram here" in notes(driver)
    cards = driver.find_elements("css selector", "#gallery .card")
    assert ["no diagram in the store" in card.text for card in cards] == [False, True, True, True]
    assert driver.execute_script("return document.querySelector('#gallery img').naturalWidth") > 0


def test_pointing_at_a_trial_shows_it_and_clicking_pins_it(opened, made_up):
    from selenium.webdriver import ActionChains

    driver = opened(render_report(made_up([*BEATEN, *FRONT]), dict.fromkeys(range(14), DIAGRAM)))
    points = driver.find_elements("css selector", "[data-place=pareto] .scatterlayer .trace:nth-child(2) .point")
    assert len(points) == len(FRONT)
    for point in points[1:3]:
        ActionChains(driver, duration=50).move_to_element(point).perform()
        assert (
            driver.find_element("css selector", "#preview h3").text
            == f"Trial {11 + points[1:3].index(point)}, on the front"
        )
        ActionChains(driver, duration=50).move_to_element(point).click().perform()
    assert pinned(driver) == [11, 12]
    driver.find_element("css selector", "#pins .unpin").click()
    assert pinned(driver) == [12]
    driver.find_element("css selector", "#pins .unpin").click()
    assert not driver.find_element("id", "pins-section").is_displayed()


def test_the_gallery_pins_too_and_grows(opened, made_up):
    driver = opened(render_report(made_up([*BEATEN, *FRONT]), {}))
    assert len(driver.find_elements("css selector", "#gallery .card")) == 4
    more = driver.find_element("id", "more")
    assert more.text == "Show the 10 other trials too"
    driver.execute_script("arguments[0].click()", more)
    assert len(driver.find_elements("css selector", "#gallery .card")) == 14
    pin = driver.find_element("css selector", "#gallery .pin")
    driver.execute_script("arguments[0].click()", pin)
    assert (pinned(driver), pin.text, pin.get_attribute("aria-pressed")) == ([10], "Unpin", "true")
    driver.execute_script("arguments[0].click()", pin)
    assert (pinned(driver), pin.text) == ([], "Pin to compare")


def test_a_configuration_is_copied(opened, made_up):
    from selenium.webdriver import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    sweep = made_up(FRONT)
    driver = opened(render_report(sweep, {}))
    button = driver.find_element("css selector", "#configurations details[open] .copy")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    texts: list[str] = []  # a browser copies in its own time, and the button says so for a moment only
    WebDriverWait(driver, 20, poll_frequency=0.05).until(lambda _: texts.append(button.text) or texts[-1] == "Copied")
    area = driver.execute_script("return document.body.appendChild(document.createElement('textarea'))")
    area.send_keys(Keys.CONTROL, "v")
    assert area.get_property("value") == data_of(render_report(sweep, {}))["trials"]["0"]["yaml"]


def test_descriptions_and_reasons_are_text(opened, made_up):
    nasty = "<img src=x onerror=alert(1)> & <b>bold</b>"
    driver = opened(render_report(made_up([FRONT[0], None], description=nasty), {}))
    assert driver.find_element("id", "description").text == nasty
    assert driver.find_element("id", "failures").text == "Trial 1: replicate 0 diverged: <b>its</b> score is nan"
    assert driver.find_elements("css selector", "#description *") == []
