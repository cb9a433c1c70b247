"""The interactive diagram: the data of the page, and the page in a real browser."""

import json
import re
from dataclasses import replace

import pytest
import torch

from bimt_core.modularity import Communities
from bimt_core.pictures.network.interactive import MOST_LAST, PER_UNIT, render_interactive
from bimt_core.pictures.network.layout import make_layout
from bimt_core.pictures.palette import COMMUNITY, POSITIVE
from bimt_core.population import initialise
from bimt_core.tasks import load_task
from bimt_core.wiring import ACTIVE

WEIGHTS = {  # of the last entry: (tensor, target, source) to value
    ("weight0", 3, 0): 0.5,
    ("weight0", 7, 1): -0.2,
    ("weight1", 5, 3): 1.0,
    ("weight1", 9, 7): 0.01,
    ("weight2", 0, 5): 2.0,
}


@pytest.fixture(scope="module")
def moons():
    return load_task("two_moons")


@pytest.fixture(scope="module")
def history(moons):
    """History of an initial network and one with five weights and exchanged outputs."""
    first = initialise(moons.network, [0])
    flat = torch.zeros_like(first.flat)
    tensors = moons.network.wiring.tensors(flat)
    for (tensor, target, source), value in WEIGHTS.items():
        tensors[tensor][0, target, source] = value
    tensors["bias1"][0, 5] = -0.125
    return [first, replace(first, flat=flat, output_labels=first.output_labels.flip(1))]


@pytest.fixture(scope="module")
def communities(moons):
    one, two, three, out = (neurons.name for neurons in moons.network.wiring.neurons)
    return Communities(0.3, (frozenset({(one, 0), (two, 3), (three, 5), (out, 0)}), frozenset({(one, 1), (two, 7)})))


@pytest.fixture(scope="module")
def page(moons, history, communities):
    return render_interactive(history, moons, steps=[0, 400], communities=communities, title="Two moons\nas a test")


def data_of(page):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def weights_of(data, entry):
    """Returns the value of each weight in a page by tensor number and index in the tensor."""
    found = {}
    for number, (gaps, values) in enumerate(data["entries"][entry]["weights"]):
        indices = torch.tensor(gaps).cumsum(0).tolist()
        found |= {(number, i): v / data["unit"] for i, v in zip(indices, values, strict=True)}
    return found


# The data


def test_every_active_weight_is_in_the_page(page, moons, history):
    data, wiring = data_of(page), moons.network.wiring
    for number, entry in enumerate(history):
        expected = {}
        for t, wire in enumerate(wiring.weights):
            flat = entry.tensors[wire.tensor][0].flatten()
            expected |= {(t, i): flat[i].item() for i in (flat.abs() > ACTIVE).nonzero().flatten().tolist()}
        found = weights_of(data, number)
        assert found.keys() == expected.keys()
        assert all(abs(found[key] - expected[key]) <= 0.5001 / PER_UNIT for key in found)
        assert data["entries"][number]["left_out"] == 0
    assert [m["step"] for m in data["entries"]] == [0, 400]
    assert [m["outputs"] for m in data["entries"]] == [[0, 1], [1, 0]]


def test_neurons_have_the_positions_of_the_diagram(page, moons):
    rows = make_layout(moons.network.wiring).rows
    for row, found in zip(rows, data_of(page)["rows"], strict=True):
        assert found["x"] == pytest.approx(row.points[:, 0].tolist(), abs=1e-4)
        assert (found["name"], found["gaps"]) == (row.name, pytest.approx(row.gaps, abs=1e-4))


def test_communities_colour_the_places_of_their_members(page):
    colours = data_of(page)["communities"]
    assert colours[0] == [0, 1]
    assert [place for place, c in enumerate(colours[1]) if c >= 0] == [3, 7]
    assert colours[3] == [0, -1]


def test_of_too_many_weights_the_strongest_are_in_the_page():
    t = load_task("in_context")
    entry = initialise(t.network, [0], dtype=t.dtype)
    data = data_of(render_interactive([entry], t))
    strengths = []
    for wire in t.network.wiring.weights:
        size = entry.tensors[wire.tensor][0].abs().flatten()
        strengths.append(torch.where(size > ACTIVE, size / size.max(), 0.0))
    least = torch.cat(strengths).sort(descending=True).values[MOST_LAST - 1].item()
    kept = weights_of(data, 0)
    assert len(kept) == MOST_LAST
    assert all(strengths[tensor][i] >= least for tensor, i in kept)
    assert data["entries"][0]["left_out"] == sum(int((s > 0).sum()) for s in strengths) - MOST_LAST


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_weights_that_are_not_finite_or_huge_have_a_page(moons, history, value):
    bad = replace(history[1], flat=history[1].flat.clone())
    bad.flat[0, 0] = value
    (entry,) = data_of(render_interactive([bad], moons))["entries"]
    assert entry["finite"] == (value == 1e30)
    assert any(gaps for gaps, _ in entry["weights"]) == entry["finite"]


def test_text_cannot_end_the_script_that_contains_it(moons, history):
    nasty = "</script><script>alert(1)</script>&__DATA__"
    page = render_interactive(history[:1], replace(moons, input_names=(nasty, "b")), title=nasty)
    assert "alert(1)</script>" not in page
    assert page.count("</script>") == 2
    assert data_of(page)["title"] == nasty


def test_wrong_arguments_are_rejected(moons, history):
    with pytest.raises(ValueError, match="history must have at least one entry, got none"):
        render_interactive([], moons)
    with pytest.raises(ValueError, match="steps must be one per entry: 2 entries, got 1"):
        render_interactive(history, moons, steps=[1])
    other = initialise(moons.network.resize(6, None), [0])
    with pytest.raises(ValueError, match="all entries of a history must have the same architecture"):
        render_interactive([history[0], other], moons)


def test_a_page_is_small(page):
    assert len(page) < 60_000
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


# In a browser


@pytest.fixture
def chromium(browser, page, tmp_path):
    path = tmp_path / "a page.html"
    path.write_text(page, encoding="utf-8")
    driver = browser.open(path)
    yield driver
    assert browser.complaints() == []


def stage(driver, name):
    return int(driver.find_element("id", "stage").get_attribute(f"data-{name}"))


def move(driver, slider, to):
    """Moves a slider in one step."""
    script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
    driver.execute_script(script, driver.find_element("id", slider), to)


def blue(driver):
    """Counts the pixels of the canvas that have nearly the colour of positive weights."""
    wanted = [int(POSITIVE[i : i + 2], 16) for i in (1, 3, 5)]
    return driver.execute_script(
        """const c = document.querySelector("canvas"), w = arguments[0];
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        let n = 0;
        for (let i = 0; i < d.length; i += 4)
          if (d[i + 3] > 150 && w.every((v, k) => Math.abs(d[i + k] - v) < 30)) n++;
        return n;""",
        wanted,
    )


def circle(driver, row, place):
    """Finds the neuron at a place of a row; rows are counted from below."""
    before = (0, 2, 22, 42)[row]
    return driver.find_element("css selector", f'circle[data-i="{before + place}"]')


def hover(driver, element, dx=0, dy=0):
    from selenium.webdriver import ActionChains

    ActionChains(driver, duration=50).move_to_element_with_offset(element, dx, dy).perform()
    driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


def test_the_threshold_hides_weights(chromium):
    assert stage(chromium, "shown") == 5
    many = blue(chromium)
    for position in (60, 120, 160, 199):
        move(chromium, "threshold", position)
        least = 1e-3 * (2.0 / 1e-3) ** (position / 200)
        assert stage(chromium, "shown") == sum(abs(w) >= least for w in WEIGHTS.values())
    assert 0 < blue(chromium) < 0.7 * many
    assert "1 of 5 active weights shown" in chromium.find_element("id", "count").text
    move(chromium, "threshold", 0)
    assert stage(chromium, "shown") == 5


def test_sliders_move_by_keyboard(chromium):
    from selenium.webdriver import Keys

    slider = chromium.find_element("id", "threshold")
    slider.send_keys(Keys.END)
    assert stage(chromium, "shown") <= 1
    slider.send_keys(Keys.HOME)
    assert stage(chromium, "shown") == 5
    chromium.find_element("id", "step").send_keys(Keys.ARROW_LEFT)
    assert chromium.find_element("id", "step-value").text == "0"


def test_the_step_changes_weights_and_labels(chromium, history):
    def places():
        texts = chromium.find_elements("css selector", "g.moving text")
        chromium.execute_script("document.querySelectorAll('g.moving text').forEach(t => t.style.transition = 'none')")
        return {text.text: text.location["x"] for text in texts if "moon" in text.text}

    last = places()
    move(chromium, "step", 0)
    assert chromium.find_element("id", "step-value").text == "0"
    weights = (w for name, w in history[0].tensors.items() if name.startswith("weight"))
    assert stage(chromium, "shown") == sum(int((w.abs() > ACTIVE).sum()) for w in weights)
    first = places()
    assert first["upper moon"] < first["lower moon"]
    assert last["upper moon"] > last["lower moon"]


def test_pointing_at_a_neuron_shows_its_properties(chromium):
    hover(chromium, circle(chromium, 2, 5))
    text = chromium.find_element("id", "tip").text
    assert text.splitlines() == [
        "hidden 2, neuron 6",
        "hidden 2, place 6 of 20 (position 0.28)",
        "in: 1 weight, sum of |w| 1.00",
        "out: 1 weight, sum of |w| 2.00",
        "bias -0.125",
        "community 1 of 2",
    ]
    hover(chromium, circle(chromium, 3, 0))
    assert chromium.find_element("id", "tip").text.startswith("output lower moon")


def test_pointing_at_a_weight_shows_its_properties(chromium):
    one, other = circle(chromium, 1, 3), circle(chromium, 2, 5)
    middle = [(other.location[axis] - one.location[axis]) / 2 for axis in ("x", "y")]
    hover(chromium, one, *map(round, middle))
    lines = chromium.find_element("id", "tip").text.splitlines()
    assert lines[:3] == ["weight 1.000", "from hidden 1, neuron 4", "to hidden 2, neuron 6"]
    assert lines[3] == "distance 0.100"
    assert lines[4].startswith("100 % of the largest")


def test_a_community_can_be_selected(chromium):
    first, second = chromium.find_elements("css selector", "#communities button")[1:]
    assert "4 neurons" in first.text
    first.click()
    assert first.get_attribute("aria-pressed") == "true"
    assert stage(chromium, "bright") == 3
    assert circle(chromium, 1, 3).get_attribute("fill") == COMMUNITY[0]
    assert "faint" in circle(chromium, 1, 7).get_attribute("class")
    second.click()
    assert stage(chromium, "bright") == 1
    second.click()
    assert stage(chromium, "bright") == 5


def test_selecting_a_neuron_shows_all_paths_through_it(chromium):
    circle(chromium, 1, 3).click()
    assert stage(chromium, "bright") == 3
    assert "1 weight below, 2 weights above" in chromium.find_element("id", "facts").text
    chromium.find_element("css selector", "#stage svg").send_keys("\ue00c")  # Escape
    assert stage(chromium, "bright") == 5


def test_paths_follow_shown_weights_only(chromium):
    circle(chromium, 1, 7).click()
    assert stage(chromium, "bright") == 2
    move(chromium, "threshold", 120)
    assert stage(chromium, "bright") == 1


def test_neurons_are_reached_by_keyboard(chromium):
    from selenium.webdriver import Keys

    diagram = chromium.find_element("css selector", "#stage svg")
    diagram.send_keys(Keys.ARROW_RIGHT)
    assert chromium.find_element("id", "facts").text.startswith("input x₁")
    diagram.send_keys(Keys.ARROW_UP, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert chromium.find_element("id", "facts").text.startswith("hidden 1, neuron")
    diagram.send_keys(Keys.ENTER)
    assert "Paths through it" in chromium.find_element("id", "facts").text


def test_playing_ends_at_the_last_entry(chromium):
    from selenium.webdriver.support.ui import WebDriverWait

    chromium.find_element("id", "play").click()
    assert chromium.find_element("id", "step-value").text == "0"
    WebDriverWait(chromium, 5).until(lambda d: d.find_element("id", "play").text == "Play")
    assert chromium.find_element("id", "step-value").text == "400"


@pytest.mark.parametrize("name", ["in_context", "delayed_response", "digits", "permutation_s4", "compositionality"])
def test_every_wiring_is_drawn(browser, name, tmp_path):
    t = load_task(name)
    entry = initialise(t.network, [0], dtype=t.dtype)
    sparse = replace(entry, flat=entry.flat * (torch.rand(entry.flat.shape) < 0.03))
    (tmp_path / "page.html").write_text(render_interactive([entry, sparse], t), encoding="utf-8")
    driver = browser.open(tmp_path / "page.html")
    active = sum(int((sparse.tensors[w.tensor].abs() > ACTIVE).sum()) for w in t.network.wiring.weights)
    assert stage(driver, "shown") == min(active, MOST_LAST)
    circle = driver.find_elements("css selector", "circle")[-1]
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", circle)
    circle.click()
    assert 0 <= stage(driver, "bright") <= active
    assert browser.complaints() == []
