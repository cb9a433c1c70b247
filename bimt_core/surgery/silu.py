"""SiLU as a sympy function. Only `formulas` imports this module, on first use: importing sympy takes a second."""

from typing import Any

import numpy as np
import sympy


class silu(sympy.Function):  # type: ignore[misc]  # noqa: N801  # sympy has no types; printed by its name
    """silu(x) = x / (1 + exp(-x)).

    It is evaluated for numbers and can be differentiated. `doit` and `rewrite(sympy.exp)` replace it by its definition,
    and `sympy.lambdify` can compute it.
    """

    nargs = 1

    @classmethod
    def eval(cls, x: Any) -> Any:
        return _definition(x) if x.is_Number else None

    def doit(self, **hints: Any) -> Any:
        return _definition(self.args[0].doit(**hints) if hints.get("deep", True) else self.args[0])

    def fdiff(self, argindex: int = 1) -> Any:
        sigmoid = 1 / (1 + sympy.exp(-self.args[0]))
        return sigmoid + self * (1 - sigmoid)

    def _eval_rewrite_as_exp(self, x: Any, **kwargs: Any) -> Any:
        return _definition(x)

    @staticmethod
    def _imp_(x: Any) -> Any:
        """Used by `sympy.lambdify`. For x < 0 it is x exp(x) / (1 + exp(x)), which never overflows."""
        small = np.exp(-np.abs(x))
        return x * np.where(np.asarray(x) < 0, small, 1.0) / (1 + small)


def _definition(x: Any) -> Any:
    return x / (1 + sympy.exp(-x))
