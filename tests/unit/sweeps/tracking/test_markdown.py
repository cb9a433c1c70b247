from sweeps.tracking.markdown import format_table


def test_cells_are_formatted_by_type():
    table = format_table(["a", "b"], [[0.123456, 1e-9], [None, 1234567], ["x", True]])
    assert table.splitlines()[2:] == ["| 0.1235 | 1e-09 |", "|  | 1234567 |", "| x | True |"]


def test_text_cannot_break_a_row():
    assert format_table(["a"], [["|w| / max"]]).splitlines()[-1] == "| \\|w\\| / max |"


def test_a_table_without_rows_has_its_heading():
    assert format_table(["a", "b"], []) == "| a | b |\n| --- | --- |\n"
