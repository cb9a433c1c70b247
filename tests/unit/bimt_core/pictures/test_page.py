import json
import re

import pytest

from bimt_core.pictures.page import render_page
from bimt_core.pictures.palette import INK

TEMPLATE = '<style>:root { __COLOURS__ }</style><script type="application/json">__DATA__</script><p>__TEXT__</p>'


def data_of(page: str) -> object:
    (text,) = re.findall(r"<script.*?>(.*?)</script>", page, re.DOTALL)
    return json.loads(text)


def test_data_colours_and_texts_are_inserted() -> None:
    page = render_page(TEMPLATE, {"a": [1, 2.5, None, "é"]}, {"TEXT": "<b>hello</b>"})
    assert data_of(page) == {"a": [1, 2.5, None, "é"]}
    assert f"--ink: {INK};" in page and page.endswith("<p><b>hello</b></p>")


def test_data_cannot_end_the_script_or_insert_other_texts() -> None:
    data = {"</script><script>alert(1)</script>": r"__DATA__ __TEXT__ \1 \g<0> <!--"}
    page = render_page(TEMPLATE, data, {"TEXT": "__DATA__"})
    assert page.count("</script>") == 1 and page.endswith("<p>__DATA__</p>")
    assert data_of(page) == data


def test_unknown_names_and_values_are_rejected() -> None:
    with pytest.raises(KeyError, match="TEXT"):
        render_page(TEMPLATE, {})
    with pytest.raises(ValueError, match="not JSON compliant"):
        render_page("__DATA__", float("nan"))
