"""Reports of sweeps with given results, opened and used in a real browser."""

import json
import re

import pytest
from support.example_sweeps import (
    BASELINE,
    COST,
    DIAGRAM,
    DOMINATED,
    FRONT,
    MODULARITY,
    REASON,
    SCORE,
    create_sweep,
    example_spec,
)

from sweeps.pages.report import render_report
from sweeps.results.configurations import format_sweep_file
from sweeps.results.sweep import Sweep, open_sweep
from sweeps.store import Store
from sweeps.study.study import SweepStudy


@pytest.fixture
def create(tmp_path, small_spec):
    """Creates sweeps with given results, baseline, confirmations and changes of the spec."""

    def create(results, *, baseline=None, confirmed=None, **changes):
        spec = example_spec(small_spec, **changes)
        return create_sweep(tmp_path / "store", spec, results, baseline=baseline, confirmed=confirmed)

    return create


def test_diagrams_come_from_the_store(finished):
    sweep = open_sweep("small", finished)
    sketches = sweep.sketches()
    assert sorted(sketches) == [0, 2, 4]
    assert all(svg.startswith("<svg") for svg in sketches.values())
    assert render_report(sweep) == render_report(sweep, sketches)


def test_a_confirmed_sweep_shows_its_trials_and_the_baseline_with_diagrams(confirmed):
    page = render_report(open_sweep("small", confirmed))
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    data = json.loads(text)
    assert (data["baseline"], sorted(data["front"])) == (0, [1, 2])
    assert data["trials"].keys() == data["diagrams"].keys() == {"0", "1", "2"}
    assert [table["data_seed"] is None for table in data["confirmed"]["tables"]] == [True, False]
    networks = {row["trial"]: row["networks"] for row in data["confirmed"]["tables"][0]["rows"]}
    assert networks == {0: "2 + 2", 1: "4 + 3", 2: "2 + 2"}


def test_a_store_that_does_not_answer_is_a_problem_of_the_diagrams_only(create, tmp_path):
    sweep = create(FRONT)
    study = SweepStudy.open(Store(tmp_path / "store"), "small")
    page = render_report(Sweep(study, Store(tmp_path, tracking_uri="moon://here")))
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    data = json.loads(text)
    assert data["diagrams"] == {}
    assert data["problem"].startswith("cannot read runs from MLflow: ")
    assert len(data["trials"]) == len(sweep.trials())


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page and waits for its first chart or for all; the page must not log an error or load anything."""
    from selenium.webdriver.support.ui import WebDriverWait

    def open_page(page, *, whole=False):
        path = tmp_path / "report.html"
        path.write_text(page, encoding="utf-8")
        driver = browser.open(path)
        first = driver.find_element("css selector", "[data-chart]")
        for chart in driver.find_elements("css selector", "[data-chart]"):
            if chart.is_displayed() and chart.get_attribute("style") and (whole or chart == first):
                driver.execute_script("arguments[0].scrollIntoView()", chart)
                WebDriverWait(driver, 20).until(lambda _, c=chart: c.get_attribute("data-drawn"))
        driver.execute_script("window.scrollTo(0, 0)")
        return driver

    yield open_page
    assert browser.complaints() == []


def notes(driver):
    return driver.find_element("id", "notes").text


def pinned(driver):
    return [int(c.get_attribute("data-trial")) for c in driver.find_elements("css selector", "#pins .card")]


@pytest.mark.parametrize(
    ("results", "changes", "note", "charts"),
    [
        ([], {}, "No trial has finished yet", 0),
        ([None, None], {}, "No trial has finished yet", 0),
        ([None], {"baseline": BASELINE}, "No trial has finished yet", 0),
        ([FRONT[0]], {}, "the front is a single point", 5),
        ([*FRONT, *DOMINATED], {"baseline": BASELINE}, "", 6),
        ([*FRONT, *DOMINATED], {"objectives": [SCORE]}, "", 6),
        ([(0.9, 3, 0.1), (0.8, 2, 0.4), (0.8, 2, 0.3)], {"objectives": [SCORE, COST, MODULARITY]}, "", 5),
        (FRONT, {"constraints": ["val_score >= 2"], "baseline": BASELINE}, "so there is no Pareto front", 5),
        (FRONT, {"published": True}, "On the paper's rows", 5),
        (FRONT, {"replicates": 1, "search": {"weight_factor": {"low": 0.0, "high": 4.0}}}, "", 3),
    ],
    ids=[
        "no trials",
        "all failed",
        "baseline only",
        "one point",
        "two objectives",
        "one objective",
        "three",
        "infeasible",
        "published",
        "no lambda",
    ],
)
def test_every_kind_of_sweep_has_a_report(opened, create, results, changes, note, charts):
    driver = opened(render_report(create(results, **changes), dict.fromkeys(range(99), DIAGRAM)), whole=True)
    assert note in notes(driver) if note else notes(driver) == ""
    drawn = driver.find_elements("css selector", "[data-drawn]")
    assert len(drawn) == charts
    assert driver.find_element("id", "gallery-section").is_displayed() == bool(charts or "baseline" in changes)
    assert driver.find_element("id", "failures-section").is_displayed() == (None in results)


def test_missing_diagrams_are_noted(opened, create):
    driver = opened(render_report(create(FRONT), {0: DIAGRAM}))
    assert "3 of 4 trials have no diagram here" in notes(driver)
    cards = driver.find_elements("css selector", "#gallery .card")
    assert ["no diagram in the store" in card.text for card in cards] == [False, True, True, True]
    assert driver.execute_script("return document.querySelector('#gallery img').naturalWidth") > 0


CONFIRMED = {None: (0.9, 38.0), 0: (0.6, 31.0), 1: (0.93, 19.0), 2: (0.9, 10.0)}


@pytest.fixture
def confirmed_page(opened, create):
    """Page of a sweep with four trials on the front, of which trial 3 is not confirmed; 14 is the baseline."""
    sweep = create([*FRONT, *DOMINATED], baseline=BASELINE, confirmed=CONFIRMED)
    return opened(render_report(sweep, dict.fromkeys(range(15), DIAGRAM)), whole=True)


def test_searched_and_confirmed_values_are_side_by_side(confirmed_page):
    rows = [row.text for row in confirmed_page.find_elements("css selector", "#confirmed tbody tr")]
    names = ["Published setting", "Trial 0\ntwo groups of networks", "Trial 1", "Trial 2", "Trial 3"]
    assert [re.split(r"\s2(?= [+n])", row)[0] for row in rows] == names
    assert "no 0% 0.99 ±0.01 0.6 [" in rows[1]
    assert "not confirmed" in rows[4]
    assert "1 of 5 configurations are not confirmed." in confirmed_page.find_element("id", "confirmed-notes").text
    assert "2 yes · 0 unsure · 1 no" in confirmed_page.find_element("id", "facts").text
    colours = [
        row.find_elements("css selector", "td")[2].get_attribute("class")
        for row in confirmed_page.find_elements("css selector", "#confirmed tbody tr")
    ]
    assert colours == ["", "no", "yes", "yes", "small"]


def test_rows_of_tables_pin_their_trial(confirmed_page):
    for selector in ("#confirmed tbody tr:nth-child(2)", "#networks tbody tr:nth-child(1)"):
        confirmed_page.execute_script("arguments[0].click()", confirmed_page.find_element("css selector", selector))
        assert pinned(confirmed_page) == [0]
        confirmed_page.execute_script(
            "arguments[0].click()", confirmed_page.find_element("css selector", "#pins .unpin")
        )
    confirmed_page.execute_script(
        "arguments[0].click()", confirmed_page.find_element("css selector", "#confirmed tbody tr")
    )
    assert pinned(confirmed_page) == [14]


def test_the_published_setting_has_the_first_card_and_its_own_legend(confirmed_page):
    first, second = confirmed_page.find_elements("css selector", "#gallery .card")[:2]
    assert first.text.startswith("Published setting\nbaseline of the sweep")
    assert second.text.startswith("Trial 0, on the front\nstill on the front: no")
    for chart in ("pareto", "networks", "parallel", "lambda", "history"):
        legend = confirmed_page.find_element("css selector", f"[data-chart={chart}] .legend").text
        assert "published setting" in legend, chart


def test_the_page_is_not_wider_than_the_window(confirmed_page):
    widths = confirmed_page.execute_script("return [document.body.scrollWidth, document.body.clientWidth]")
    assert widths[0] == widths[1]
    table = confirmed_page.find_element("css selector", "#confirmed .wide")
    assert confirmed_page.execute_script("return arguments[0].scrollWidth - arguments[0].clientWidth", table) <= 0


def test_a_front_that_is_not_confirmed_says_so(opened, create):
    driver = opened(render_report(create(FRONT, baseline=BASELINE), {}))
    assert driver.find_element("id", "confirmed-notes").text.startswith("Not confirmed: these values chose the front")
    assert "not confirmed" in driver.find_element("css selector", "#gallery .card:nth-child(2)").text


def test_pointing_at_a_trial_shows_it_and_clicking_pins_it(opened, create):
    from selenium.webdriver import ActionChains

    driver = opened(render_report(create([*DOMINATED, *FRONT]), dict.fromkeys(range(14), DIAGRAM)))
    points = driver.find_elements("css selector", "[data-chart=pareto] .scatterlayer .trace:nth-child(2) .point")
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


def test_the_gallery_pins_too_and_grows(opened, create):
    driver = opened(render_report(create([*DOMINATED, *FRONT]), {}))
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


def test_a_configuration_is_copied(opened, create):
    from selenium.webdriver import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    sweep = create(FRONT)
    driver = opened(render_report(sweep, {}))
    button = driver.find_element("css selector", "#configurations details[open] .copy")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    texts: list[str] = []  # the browser copies asynchronously, and the button says so for a moment only
    WebDriverWait(driver, 20, poll_frequency=0.05).until(lambda _: texts.append(button.text) or texts[-1] == "Copied")
    area = driver.execute_script("return document.body.appendChild(document.createElement('textarea'))")
    area.send_keys(Keys.CONTROL, "v")
    assert area.get_property("value") == format_sweep_file(sweep.completed_trials()[0], sweep.spec)


def test_descriptions_and_reasons_are_text(opened, create):
    nasty = "<img src=x onerror=alert(1)> & <b>bold</b>"
    driver = opened(render_report(create([FRONT[0], None], description=nasty), {}))
    assert driver.find_element("id", "description").text == nasty
    assert driver.find_element("id", "failures").text == f"Trial 1: {REASON}"
    assert driver.find_elements("css selector", "#description *") == []
