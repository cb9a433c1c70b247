"""Sweep files, checked as a whole before anything starts, and everything that is derived from them."""
