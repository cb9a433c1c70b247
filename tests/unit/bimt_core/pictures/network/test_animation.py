import io
import stat
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from bimt_core.modularity import Communities
from bimt_core.pictures.network.animation import _frames, _matched, render_animation
from bimt_core.tasks import load_task

MOONS = load_task("two_moons")


STEPS = [0, 1000, 2000, 3000]


@pytest.fixture
def moments(sparse):
    """A training of two networks, as it were: fewer and fewer weights, and in the end the rows turned round."""
    made = [sparse(MOONS, 2, kept) for kept in (1.0, 0.5, 0.2)]
    flipped = {n: torch.arange(k).flip(0).repeat(2, 1) for n, k in (("input", 2), ("output", 2))}
    return [*made, made[-1].rearrange(flipped)]


def test_a_gif_shows_every_moment(moments):
    image = Image.open(io.BytesIO(render_animation(moments, MOONS, 1, frame_s=0.2)))
    assert image.format == "GIF" and image.n_frames == 4 and image.info["loop"] == 0
    durations = []
    for i in range(4):
        image.seek(i)
        durations.append(image.info["duration"])
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert durations == [200, 200, 200, 600]


def test_frames_are_of_one_size_and_differ(moments):
    frames = _frames(moments, MOONS, 0, None, "safe")
    assert len({frame.size for frame in frames}) == 1 and all(side % 2 == 0 for side in frames[0].size)
    pixels = [np.asarray(frame) for frame in frames]
    assert all((a != b).any() for a, b in pairwise(pixels))


def test_frames_say_step_loss_and_cost(moments, monkeypatch):
    titles = []
    module = sys.modules[_frames.__module__]
    draw = module.connectivity
    monkeypatch.setattr(module, "connectivity", lambda *a, **k: titles.append(k["title"]) or draw(*a, **k))
    _frames(moments, MOONS, 1, STEPS, "safe")
    one = moments[1].select([1])
    loss = MOONS.loss(one.predict(MOONS.test_inputs), MOONS.test_targets).item()
    first, second = titles[1].splitlines()
    assert first == "two moons, step 1,000" and second.startswith(f"test loss {loss:.2e}   connection cost ")


def test_communities_keep_their_colours():
    a, b, c = (frozenset({("hidden1", i), ("hidden1", i + 10)}) for i in range(3))
    before = Communities(0.5, (a, b, c))
    assert _matched(Communities(0.5, (c, a, b)), before).members == (a, b, c)
    assert _matched(Communities(0.5, (c,)), before).members[2] == c
    found = _matched(Communities(0.5, (frozenset({("hidden1", 5)}), c, b, a)), before).members
    assert found[:3] == (a, b, c) and len(found) == 4
    assert _matched(before, Communities(0.0, ())).members == (a, b, c)


def test_20_frames_are_light(sparse):
    of = load_task("independence")
    made = [sparse(of, kept=float(kept)) for kept in np.geomspace(1, 0.05, 20)]
    assert len(render_animation(made, of)) < 1_000_000


def test_a_broken_moment_does_not_stop_the_film(moments):
    moments[1].flat[0, 0], moments[2].flat[0] = torch.nan, 0.0
    assert Image.open(io.BytesIO(render_animation(moments, MOONS))).n_frames == 4


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"file_format": "avi"}, "file_format must be one of gif, mp4, got 'avi'"),
        ({"frame_s": 0.0}, "frame_s must be above 0, got 0.0"),
        ({"steps": [1, 2]}, "steps must be one a moment: 4 moments, got 2"),
        ({"network": 2}, "network must be between 0 and 1, got 2"),
    ],
)
def test_what_cannot_be_shown_is_refused(moments, how, message):
    with pytest.raises(ValueError, match=message):
        render_animation(moments, MOONS, **how)


@pytest.mark.parametrize("n", [0, 1])
def test_a_film_of_one_frame_is_refused(moments, n):
    with pytest.raises(ValueError, match=f"at least 2 moments, got {n}; connectivity draws a single one"):
        render_animation(moments[:n], MOONS)


def test_without_ffmpeg_there_is_no_mp4(moments, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="needs the program ffmpeg, which was not found"):
        render_animation(moments, MOONS, file_format="mp4")


def a_program(folder, code):
    """A program that is called ffmpeg."""
    path = folder / "ffmpeg"
    path.write_text(f"#!{sys.executable}\nimport sys\n{code}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_ffmpeg_gets_every_frame(moments, monkeypatch, tmp_path):
    a_program(tmp_path, "open(sys.argv[-1], 'wb').write(' '.join(sys.argv).encode() + sys.stdin.buffer.read())")
    monkeypatch.setenv("PATH", str(tmp_path))
    made = render_animation(moments, MOONS, file_format="mp4", frame_s=0.5)
    frames = _frames(moments, MOONS, 0, None, "safe")
    pixels = b"".join(frame.tobytes() for frame in frames)
    assert pixels in made and made.endswith(frames[-1].tobytes() * 3)
    assert f"-s {frames[0].width}x{frames[0].height} -r 2 ".encode() in made


def test_what_ffmpeg_complains_of_is_told(moments, monkeypatch, tmp_path):
    a_program(tmp_path, "sys.stdin.buffer.read()\nsys.exit('no such codec')")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="ffmpeg made no film: no such codec"):
        render_animation(moments, MOONS, file_format="mp4")
