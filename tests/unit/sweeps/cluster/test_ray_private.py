import re
from pathlib import Path

import sweeps

PRIVATE = re.compile(
    r"ray\._|ray(\.\w+)*\._private|ray\.dashboard|ray\.tune\.execution|ray\.train\._internal"
    r"|\._last_result|JOB_SUPERVISOR|ENV_VARS_TO_PROPAGATE|TUNE_[A-Z]{2}"
)


def test_only_one_file_uses_private_names_of_ray():
    folder = Path(sweeps.__file__).parent
    users = [path.name for path in folder.rglob("*.py") if PRIVATE.search(path.read_text())]
    assert users == ["ray_private.py"]
