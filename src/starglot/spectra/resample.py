"""From a survey's own pixels to the common grid (paper 2.1: cubic, 3800-8700 A in steps of 1).

The paper leaves gaps and edges open.  Ours: a cubic spline through the good pixels inside gaps up to a limit, a
straight line across longer ones (a spline across 300 missing pixels reaches several times the flux), the end value
held over the last few Angstrom, nothing beyond.

A recipe may ask for none of this: then the grid is the survey's own pixels, whose flux stays what it is.  What is
masked among them is filled in by the same rule, as the curve through the good ones runs through each of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from starglot.config.recipes import Recipe, Wavelength
from starglot.spectra.rejection import SpectrumRejected
from starglot.tables import read_metadata

#: A wavelength of the grid is a pixel's if it is no further away than this part of the spacing.  Files that hold
#: wavelengths or their logarithms in 32 bits are off by a few thousandths of LAMOST's spacing at most.
_ON_PIXEL = 0.01
#: A cubic without knots at its second and second-last point needs this many points.
LEAST_POINTS = 4

Array = NDArray[np.float64]


def wavelength_grid(wavelength: Wavelength) -> Array:
    """The common grid, (wavelength.size,) vacuum Angstrom."""
    if wavelength.log:
        return np.geomspace(wavelength.start, wavelength.stop, wavelength.size)
    return wavelength.start + wavelength.step * np.arange(wavelength.size, dtype=np.float64)


def stored_grid(path: str | Path) -> Array:
    """The wavelengths of cleaned spectra in the file ``path``, as its metadata states them."""
    return wavelength_grid(Wavelength.model_validate(read_metadata(path)["wavelength"]))


def require_coverage(wavelength: Array, good: NDArray[np.bool_], grid: Array, recipe: Recipe) -> None:
    """Raise SpectrumRejected unless the good pixels suffice to fill ``grid``.

    wavelength, good: (n,) of one spectrum, increasing Angstrom.  The reasons: ``no_good_pixel`` at all;
    ``range_not_covered`` when the first or last good pixel is more than ``recipe.max_edge`` inside the grid's ends;
    ``too_few_good_pixels`` when less than ``recipe.min_good`` of the pixels on the grid's range are good.
    """
    points = wavelength[good]
    if not len(points):
        raise SpectrumRejected("no_good_pixel", f"all {len(good)} pixels are masked")
    first, last = float(points[0]), float(points[-1])
    if first - grid[0] > recipe.max_edge or grid[-1] - last > recipe.max_edge:
        raise SpectrumRejected(
            "range_not_covered",
            f"good pixels from {first:.1f} to {last:.1f} A, the grid from {grid[0]:g} to {grid[-1]:g} A, "
            f"at most {recipe.max_edge:g} A may be missing",
        )
    low, high = np.searchsorted(wavelength, [grid[0], grid[-1]], side="left")
    inside, found = int(high - low), int(np.count_nonzero(good[low:high]))
    if found < recipe.min_good * inside or len(points) < LEAST_POINTS:
        raise SpectrumRejected(
            "too_few_good_pixels", f"{found} of {inside} pixels are good, {recipe.min_good:g} of them are asked for"
        )


def own_pixels(wavelength: Array, grid: Array) -> Array:
    """The grid (m,) with the spectrum's own wavelengths in place of those that they agree with to rounding.

    wavelength: (n,) increasing, of all pixels, masked or not; grid: (m,) increasing; A.  Where the spectrum ends
    earlier than the grid, the grid's wavelengths stay: how much may be missing is said by :func:`require_coverage`.
    Raises SpectrumRejected ``other_pixels`` when a wavelength of the grid, between the spectrum's ends, is on no
    pixel, or a pixel, between the grid's ends, is at none of its wavelengths.
    """
    if not len(wavelength):
        return grid
    reach = _ON_PIXEL * np.gradient(grid)
    inside = np.flatnonzero((grid >= wavelength[0] - reach) & (grid <= wavelength[-1] + reach))
    own, wanted = grid.copy(), grid[inside]
    nearest = np.searchsorted((wavelength[1:] + wavelength[:-1]) / 2, wanted)
    own[inside] = wavelength[nearest]
    off = np.flatnonzero(np.abs(own - grid) > reach)
    if len(off):
        first = off[0]
        raise SpectrumRejected(
            "other_pixels",
            f"{len(off)} of {len(wanted)} wavelengths of the grid are on no pixel, the first of them "
            f"{grid[first]:.3f} A, where the nearest pixel is at {own[first]:.3f} A",
        )
    low, high = np.searchsorted(wavelength, [grid[0] - reach[0], grid[-1] + reach[-1]])
    more = np.setdiff1d(np.arange(low, high), nearest)
    if len(more):
        raise SpectrumRejected(
            "other_pixels",
            f"{len(more)} of {high - low} pixels on the grid's range are at none of its wavelengths, the first of "
            f"them at {wavelength[more[0]]:.3f} A",
        )
    return own


def resample(x: Array, y: Array, grid: Array, recipe: Recipe) -> Array:
    """Flux at the grid's wavelengths.

    x, y: (n,) increasing wavelengths (A) and flux of the good pixels, n >= 4; grid: (m,) increasing, A.
    Returns (m,): the cubic spline (or line, ``recipe.interpolation``) through all good pixels; inside gaps wider than
    ``recipe.max_gap`` the line between their ends; the end values outside the good pixels.  At a good pixel's own
    wavelength that is its flux, to the last bit.
    """
    if recipe.interpolation == "linear":
        return np.interp(grid, x, y)
    at = np.searchsorted(x, grid, side="right") - 1
    np.clip(at, 0, len(x) - 2, out=at)
    out = cubic(x, y, grid, at)
    gaps = np.flatnonzero(np.diff(x) > recipe.max_gap)
    edges = np.searchsorted(grid, x[[0, -1]])
    spans = [(0, edges[0]), (edges[1], len(grid))]
    spans += [tuple(np.searchsorted(grid, x[gap : gap + 2])) for gap in gaps]
    for start, stop in spans:
        # numpy's interpolation holds the end values outside of x, which is the rule for the edges.
        out[start:stop] = np.interp(grid[start:stop], x, y)
    return out


def cubic(x: Array, y: Array, at: Array, interval: NDArray[np.int64]) -> Array:
    """The not-a-knot cubic spline through (x, y), evaluated at ``at``, each in ``interval`` (x[i] <= at < x[i + 1]).

    x: (n,) strictly increasing, y: (n,), n >= 4.  The values are those of ``scipy.interpolate.CubicSpline`` (the same
    tridiagonal system for the slopes, in the same order of operations), at a third of its time: checks,
    piecewise-polynomial objects and the search for intervals are left out.
    """
    dx = np.diff(x)
    slope = np.diff(y) / dx
    n = len(x)
    diagonal, rhs = np.empty(n), np.empty(n)
    below, above = np.empty(n - 1), np.empty(n - 1)
    diagonal[1:-1] = 2 * (dx[:-1] + dx[1:])
    above[1:] = dx[:-1]
    below[:-1] = dx[1:]
    rhs[1:-1] = 3 * (dx[1:] * slope[:-1] + dx[:-1] * slope[1:])
    width = x[2] - x[0]
    diagonal[0], above[0] = dx[1], width
    rhs[0] = ((dx[0] + 2 * width) * dx[1] * slope[0] + dx[0] ** 2 * slope[1]) / width
    width = x[-1] - x[-3]
    diagonal[-1], below[-1] = dx[-2], width
    rhs[-1] = (dx[-1] ** 2 * slope[-2] + (2 * width + dx[-1]) * dx[-2] * slope[-1]) / width
    derivative: Array
    *_, derivative, info = lapack.dgtsv(below, diagonal, above, rhs, 1, 1, 1, 1)
    if info:
        raise ValueError(f"the spline through {n} points cannot be solved (LAPACK gtsv: {info})")
    left = derivative[:-1]
    bend = (left + derivative[1:] - 2 * slope) / dx
    cube, square = bend / dx, (slope - left) / dx - bend
    s = at - x[interval]
    squared = s * s
    return y[interval] + left[interval] * s + square[interval] * squared + cube[interval] * (squared * s)
