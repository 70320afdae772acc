"""Scalar functions of one number, as V coefficients times V basis functions: what each link of a piecewise layer is.

``config.build()`` gives a module: ``count`` is V, ``dense(x)`` the basis at every entry of ``x``.
"""

from semagram.feedforward.basis.local import LocalBasis
from semagram.feedforward.basis.polynomials import BSpline, Chebyshev, Continuous, Discontinuous, Polynomial
from semagram.feedforward.basis.steps import Constant
from semagram.feedforward.basis.waves import Fourier, Radial

Basis = Continuous | Discontinuous | Constant | Polynomial | Chebyshev | BSpline | Fourier | Radial

__all__ = [
    "BSpline",
    "Basis",
    "Chebyshev",
    "Constant",
    "Continuous",
    "Discontinuous",
    "Fourier",
    "LocalBasis",
    "Polynomial",
    "Radial",
]
