"""The cases of every storage, on journal files; tests/integration has the databases."""

import pytest
from support.study_cases import CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_study_in_a_journal_file(store, case):
    case(store)
