"""Errors that a person must act on, not a programmer.

SweepError
 |- BadInputError a request breaks a rule; nothing was started (exit code 2)
 |- ClusterError  a cluster does not answer, or not as it should
 |- StoreError    a store cannot be read or written
"""


class SweepError(Exception):
    """A problem in one line per cause, for the person who runs the sweep."""


class BadInputError(SweepError, ValueError):
    """A request breaks a rule.

    Args:
        problems: One line per problem.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ClusterError(SweepError):
    """A cluster does not answer, or not as it should."""


class StoreError(SweepError):
    """A study, a tracking server or a folder cannot be read or written."""
