"""The cases of every storage, on databases; tests/unit has the journal files."""

import pytest
from support.study_cases import CASES


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_study_in_a_database(request, new_store, database):
    new_database = request.getfixturevalue(f"new_{database}")
    for case in CASES:
        try:
            case(new_store(new_database()))
        except BaseException as error:
            error.add_note(f"in the case {case.__name__}")
            raise
