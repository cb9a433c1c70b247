"""Errors that a person, not a programmer, must act on.

SweepError
 |- BadInputError something asked for breaks a rule; nothing was started (exit code 2)
 |- ClusterError  a cluster does not answer, or not as it should
 |- StoreError    a store cannot be read or written
"""


class SweepError(Exception):
    """What went wrong, in one line for the person who runs the sweep."""


class BadInputError(SweepError, ValueError):
    """Something asked for breaks a rule. `problems` has one line each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ClusterError(SweepError):
    """A cluster does not answer, or does not do what it is told."""


class StoreError(SweepError):
    """A study, a tracking server or a folder cannot be read or written."""
