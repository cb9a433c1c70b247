"""SiLU as a sympy function, against torch."""

import numpy as np
import pytest
import sympy
import torch

from bimt_core.surgery.silu import silu


def test_values_match_torch() -> None:
    x = torch.linspace(-50, 50, 101, dtype=torch.float64)
    wanted, z = torch.nn.functional.silu(x).numpy(), sympy.Symbol("z")
    np.testing.assert_allclose(sympy.lambdify(z, silu(z))(x.numpy()), wanted, rtol=1e-12)
    np.testing.assert_allclose(sympy.lambdify(z, silu(z).doit())(x.numpy()), wanted, rtol=1e-12)
    np.testing.assert_allclose([float(silu(sympy.Float(v))) for v in x.tolist()], wanted, rtol=1e-12)
    np.testing.assert_allclose([float(silu(z).evalf(subs={z: v})) for v in x.tolist()], wanted, rtol=1e-12)
    far = np.array([-1e4, -800.0, 800.0])
    np.testing.assert_array_equal(sympy.lambdify(z, silu(z))(far), [0, 0, 800])


def test_definition_and_derivative() -> None:
    z = sympy.Symbol("z")
    assert silu(z).doit() == silu(z).rewrite(sympy.exp) == z / (1 + sympy.exp(-z))
    assert silu(2 * silu(z)).doit().atoms(silu) == set()
    assert silu(z).subs(z, 0) == 0
    slope, expected = silu(3 * z).diff(z), silu(3 * z).doit().diff(z)
    assert [float(slope.subs(z, v).evalf()) for v in (-2, 0.3)] == pytest.approx(
        [float(expected.subs(z, v).evalf()) for v in (-2, 0.3)]
    )
