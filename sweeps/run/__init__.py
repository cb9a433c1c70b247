"""Runs one sweep: asks for trials, trains them on Ray Tune's workers, and finishes with the front and the report."""
