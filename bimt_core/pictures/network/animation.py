"""The film of a training: connectivity diagrams one after the other."""

import io
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import torch
from PIL import Image
from scipy.optimize import linear_sum_assignment

from bimt_core.cost import published_cost
from bimt_core.modularity import Communities
from bimt_core.pictures.canvas import to_image, with_palette
from bimt_core.pictures.network.diagram import plot_connectivity
from bimt_core.pictures.network.legend import Colours
from bimt_core.pictures.subject import communities_of, find_fault, select_network, task_title
from bimt_core.population import Population
from bimt_core.tasks import Task

FilmFormat = Literal["gif", "mp4"]
DPI = 75
LAST = 3  # the last picture stays as long as so many others


def render_animation(
    moments: Sequence[Population],
    task: Task,
    network: int = 0,
    *,
    steps: Sequence[int] | None = None,
    file_format: FilmFormat = "gif",
    frame_s: float = 0.4,
    colours: Colours = "safe",
) -> bytes:
    """A film of one network's training: its connectivity diagram at every moment, with step, loss and cost.

    Places stay where they are; what moves are neurons, with their labels. A community keeps its colour from one picture
    to the next as far as it shares neurons with the one before.

    Args:
        moments: At least 2 populations of the same networks, in the order in which they are shown.
        task: The task.
        network: Which network of the population.
        steps: The training step of each moment; None where they have none.
        file_format: "gif", or "mp4", which needs the program ffmpeg.
        frame_s: How long a picture is shown, in seconds.
        colours: Of weights; see `plot_connectivity`.

    Returns:
        The file.

    Raises:
        ValueError: If there are fewer than 2 moments, not one step a moment, or no such network, the format is unknown,
            `frame_s` is not above 0, or ffmpeg is needed and not found or fails.
    """
    if len(moments) < 2:
        raise ValueError(f"a film needs at least 2 moments, got {len(moments)}; connectivity draws a single one")
    if steps is not None and len(steps) != len(moments):
        raise ValueError(f"steps must be one a moment: {len(moments)} moments, got {len(steps)}")
    if file_format not in get_args(FilmFormat):
        raise ValueError(f"file_format must be one of {', '.join(get_args(FilmFormat))}, got {file_format!r}")
    if not frame_s > 0:
        raise ValueError(f"frame_s must be above 0, got {frame_s}")
    if file_format == "mp4" and shutil.which("ffmpeg") is None:
        raise ValueError("an mp4 film needs the program ffmpeg, which was not found on the PATH; a gif needs none")
    frames = _frames(moments, task, network, steps, colours)
    return _gif(frames, frame_s) if file_format == "gif" else _mp4(frames, frame_s)


def _frames(
    moments: Sequence[Population], task: Task, network: int, steps: Sequence[int] | None, colours: Colours
) -> list[Image.Image]:
    """The pictures, all of one size."""
    images, before = [], Communities(0.0, ())
    for i, moment in enumerate(moments):
        one, when = (
            select_network(moment, network),
            f"{i + 1} of {len(moments)}" if steps is None else f"step {steps[i]:,}",
        )
        before = _matched(communities_of(one, None, quick=True), before) if find_fault(one) is None else before
        title = _title(when, one, task)
        figure = plot_connectivity(one, task, communities=before, title=title, colours=colours)
        images.append(to_image(figure, DPI))
    width, height = (max(image.size[i] for image in images) for i in range(2))
    width, height = width + width % 2, height + height % 2  # most films have even sides
    return [_on_white(image, width, height) for image in images]


def _title(when: str, one: Population, task: Task) -> str:
    outputs = one.predict(task.test_inputs.cpu())
    loss = task.to("cpu").loss(outputs, task.test_targets.cpu()).item()
    cost = published_cost(one.network.wiring, one.flat, task.per_network).item()
    return f"{task_title(task)}, {when}\ntest loss {loss:.2e}   connection cost {cost:.3g}"


def _matched(found: Communities, before: Communities) -> Communities:
    """The communities in another order: each takes the colour of the one before that it shares most neurons with."""
    n = max(len(found), len(before))
    shared = torch.zeros(n, n, dtype=torch.int64)
    for i, some in enumerate(found.members):
        for j, others in enumerate(before.members):
            shared[j, i] = len(some & others)
    _, chosen = linear_sum_assignment(shared.numpy(), maximize=True)
    members = [*found.members, *[frozenset[tuple[str, int]]()] * n]
    return Communities(found.modularity, tuple(members[i] for i in chosen.tolist()))


def _on_white(image: Image.Image, width: int, height: int) -> Image.Image:
    if image.size == (width, height):
        return image
    whole = Image.new("RGB", (width, height), "white")
    whole.paste(image, ((width - image.width) // 2, 0))
    return whole


def _gif(frames: Sequence[Image.Image], frame_s: float) -> bytes:
    file, milliseconds = io.BytesIO(), round(1000 * frame_s)
    first, *others = (with_palette(frame) for frame in frames)
    shown = [milliseconds] * len(others) + [LAST * milliseconds]
    first.save(file, "gif", save_all=True, append_images=others, duration=shown, loop=0, optimize=False)
    return file.getvalue()


def _mp4(frames: Sequence[Image.Image], frame_s: float) -> bytes:
    """H.264 as most players read it; ffmpeg needs a file, since the head of an MP4 is written last."""
    width, height = frames[0].size
    shown = [*frames, *[frames[-1]] * (LAST - 1)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        command = ["ffmpeg", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
        command += ["-r", f"{1 / frame_s:.6g}", "-i", "-", "-an", "-pix_fmt", "yuv420p", "-y", str(path)]
        pixels = b"".join(frame.tobytes() for frame in shown)
        done = subprocess.run(command, input=pixels, capture_output=True, check=False)
        if done.returncode or not path.is_file():
            raise ValueError(f"ffmpeg made no film: {done.stderr.decode(errors='replace').strip()[-200:]}")
        return path.read_bytes()
