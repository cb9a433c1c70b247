"""Runs one sweep, from its first trial to its report."""
