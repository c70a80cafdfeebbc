"""How fast scaling laws are fitted to bootstrap copies of the points, against scipy.optimize.least_squares.

    python benchmarks/scaling.py [--copies 500] [--sizes 5]

Both fit sigma_inf + A N^-alpha under the same bounds; scipy starts from the law that the copies were drawn around,
one of the two searches all exponents.  The sums of squares are compared, too.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.optimize import least_squares

from starglot.evaluation.sweeps.power_law import ALPHA_RANGE, fit_power_law

TRUE = (20.0, 900.0, 0.45)


def main() -> None:
    """Print fits per CPU second of both, and how far their sums of squares are apart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, default=500)
    parser.add_argument("--sizes", type=int, default=5)
    args = parser.parse_args()
    n = np.geomspace(200, 5000, args.sizes)
    true = TRUE[0] + TRUE[1] * n ** -TRUE[2]
    error = 0.02 * true
    copies = true + error * np.random.default_rng(0).normal(size=(args.copies, args.sizes))

    started = time.process_time()
    law = fit_power_law(n, copies, error)
    ours = time.process_time() - started
    left = np.sum(((law.at(n) - copies) / error) ** 2, axis=1)

    started = time.process_time()
    theirs = np.empty(args.copies)
    for number, sigma in enumerate(copies):

        def residual(p: np.ndarray, sigma: np.ndarray = sigma) -> np.ndarray:
            return (p[0] + p[1] * n ** -p[2] - sigma) / error

        bounds = ([0, 0, ALPHA_RANGE[0]], [np.inf, np.inf, ALPHA_RANGE[1]])
        theirs[number] = 2 * least_squares(residual, TRUE, bounds=bounds, x_scale=[10, 1000, 0.1]).cost
    scipys = time.process_time() - started

    print(f"here:  {args.copies / ours:10,.0f} fits per CPU second")
    print(f"scipy: {args.copies / scipys:10,.0f} fits per CPU second")
    print(f"sum of squares, here less scipy's: {np.max(left - theirs):.1e} at most")


if __name__ == "__main__":
    main()
