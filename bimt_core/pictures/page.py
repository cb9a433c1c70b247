"""HTML pages from templates: one file each, without network access."""

import json
import re
from collections.abc import Mapping
from typing import Any

from bimt_core.pictures.palette import INACTIVE, INK, MUTED, PLATE, POSITIVE

_CSS = f"--ink: {INK}; --muted: {MUTED}; --line: {INACTIVE}; --accent: {POSITIVE}; --soft: {PLATE};"


def render_page(template: str, data: Any, texts: Mapping[str, str] | None = None) -> str:
    r"""Fills in a template.

    `__DATA__` becomes the data as JSON, in which no text can end the surrounding script element. `__COLOURS__` becomes
    the palette as CSS variables. Inserted text is not searched for further names.

    Args:
        template: HTML with names between double underscores.
        data: Anything that JSON can hold, without infinities and NaN.
        texts: More names (without underscores) and the text, inserted as it is, that replaces them.

    Examples:
        >>> print(render_page('<script type="application/json">__DATA__</script>', {"title": "</script>"}))
        <script type="application/json">{"title":"\u003c/script>"}</script>
    """
    plain = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    inserted = {"DATA": plain.replace("<", "\\u003c"), "COLOURS": _CSS} | dict(texts or {})
    return re.sub(r"__([A-Z]+)__", lambda match: inserted[match[1]], template)
