"""SiLU as sympy knows a function. Only `formulas` imports this file, and late: sympy takes a second to load."""

from typing import Any

import numpy as np
import sympy


class silu(sympy.Function):  # type: ignore[misc]  # noqa: N801  # sympy has no types; printed by its name
    """silu(x) = x / (1 + exp(-x)).

    Of a number it is a number. `doit` (or `rewrite(sympy.exp)`) writes it out, it can be differentiated, and
    `sympy.lambdify` knows how to compute it.
    """

    nargs = 1

    @classmethod
    def eval(cls, x: Any) -> Any:
        return _written_out(x) if x.is_Number else None

    def doit(self, **hints: Any) -> Any:
        return _written_out(self.args[0].doit(**hints) if hints.get("deep", True) else self.args[0])

    def fdiff(self, argindex: int = 1) -> Any:
        sigmoid = 1 / (1 + sympy.exp(-self.args[0]))
        return sigmoid + self * (1 - sigmoid)

    def _eval_rewrite_as_exp(self, x: Any, **kwargs: Any) -> Any:
        return _written_out(x)

    @staticmethod
    def _imp_(x: Any) -> Any:
        """What `sympy.lambdify` calls: of x < 0 it is x exp(x) / (1 + exp(x)), which never overflows."""
        small = np.exp(-np.abs(x))
        return x * np.where(np.asarray(x) < 0, small, 1.0) / (1 + small)


def _written_out(x: Any) -> Any:
    return x / (1 + sympy.exp(-x))
