"""What the tests of this folder share."""

import pytest
from support.cohorts import THREE, trained


@pytest.fixture(scope="package")
def three():
    """Reports of a cohort of three trials with two replicates each."""
    return trained(THREE)
