"""What tests of both packages share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

torch.set_num_threads(1)
hypothesis.settings.register_profile("same examples every run", derandomize=True, deadline=None, max_examples=40)
hypothesis.settings.load_profile("same examples every run")

Reference = tuple[dict[str, Any], dict[str, NDArray[Any]]]


@pytest.fixture(scope="session")
def reference() -> Callable[[str], Reference]:
    """Reads figures measured on the published code: facts by case, and arrays by name (tests/reference/README.md)."""

    def read(name: str) -> Reference:
        path = Path(__file__).parent / "reference" / name
        with np.load(path.with_suffix(".npz")) as arrays:
            return json.loads(path.with_suffix(".json").read_text()), dict(arrays)

    return read
