"""Surgery: finished networks are taken apart to see what their parts are for."""

from bimt_core.surgery.knock_outs import KnockOut, knock_out, knock_out_scores

__all__ = ["KnockOut", "knock_out", "knock_out_scores"]
