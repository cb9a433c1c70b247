import pytest

from sweeps.store import Store


@pytest.fixture
def store(tmp_path):
    """A store with a journal file per study."""
    store = Store(tmp_path / "store")
    store.prepare("small")
    return store
