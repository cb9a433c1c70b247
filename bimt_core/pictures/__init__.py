"""Pictures of networks and of what they compute: matplotlib figures without pyplot and without global state."""

from bimt_core.pictures.canvas import to_png, to_svg
from bimt_core.pictures.diagram import connectivity, contact_sheet
from bimt_core.pictures.interactive import interactive
from bimt_core.pictures.sketch import sketch

__all__ = ["connectivity", "contact_sheet", "interactive", "sketch", "to_png", "to_svg"]
