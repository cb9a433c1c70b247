import colorsys

import pytest

from bimt_core.pictures.palette import COMMUNITY, DIVERGING, NEGATIVE, OTHER, POSITIVE, community_colour, sign_colours


def test_colours_of_weights() -> None:
    assert sign_colours("safe") == (POSITIVE, NEGATIVE)
    assert sign_colours("paper") == ("#0000ff", "#ff0000")
    with pytest.raises(ValueError, match="colours must be one of safe, paper, got 'loud'"):
        sign_colours("loud")  # type: ignore[arg-type]


def test_communities_beyond_the_palette_share_a_colour() -> None:
    assert [community_colour(i) for i in range(len(COMMUNITY))] == list(COMMUNITY)
    assert community_colour(len(COMMUNITY)) == community_colour(100) == OTHER


def test_colours_of_communities_differ_from_each_other_and_from_those_of_weights() -> None:
    colours = [*COMMUNITY, OTHER, POSITIVE, NEGATIVE]
    assert len(set(colours)) == len(colours)
    hsv = [colorsys.rgb_to_hsv(*(value / 255 for value in bytes.fromhex(colour[1:]))) for colour in colours]
    for i, (hue, saturation, value) in enumerate(hsv):
        for other in hsv[:i]:
            assert abs(hue - other[0]) > 0.03 or abs(saturation - other[1]) + abs(value - other[2]) > 0.3


def test_the_diverging_colours_run_from_negative_over_white_to_positive() -> None:
    low, middle, high = (tuple(round(255 * value) for value in DIVERGING(x)[:3]) for x in (0.0, 0.5, 1.0))
    assert low == tuple(bytes.fromhex(NEGATIVE[1:])) and high == tuple(bytes.fromhex(POSITIVE[1:]))
    assert min(middle) >= 253
