import pytest

from sweeps.store import Store

pytest.register_assert_rewrite("support.study_cases")


@pytest.fixture
def store(tmp_path):
    """A store with a journal file per study."""
    store = Store(tmp_path / "store")
    store.prepare("small")
    return store
