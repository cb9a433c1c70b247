"""Pictures of networks and of what they compute: matplotlib figures without pyplot and without global state."""

from bimt_core.pictures.canvas import to_png, to_svg
from bimt_core.pictures.diagram import connectivity, contact_sheet

__all__ = ["connectivity", "contact_sheet", "to_png", "to_svg"]
