"""How sure a model is of the class that it tells: log-odds, and how they become probabilities that hold.

Some models are far too sure of themselves, others not sure enough.  So log-odds that hold are taken as slope x stated
log-odds + intercept (Platt 1999), fitted to whether the classes told of other spectra are right.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import expit, logsumexp

#: Fewest spectra from which a scale is fitted.
MIN_SPECTRA = 30
#: Shares closer than this to 0 and 1 count as this close, as far as log-odds go.
_EDGE = 1e-6
#: Most steps of Newton's method, which needs about ten; and the change of a coefficient that is none.
_STEPS, _SMALL = 100, 1e-10


def likeliest(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes (n,) of the greatest of scores (n, classes), and the log-odds (n,) that it is this class.

    scores: log-probabilities but for a constant of each row: logits, or those of discriminants; -inf is never told.
    With one class alone the log-odds are those of certainty.
    """
    code = scores.argmax(axis=1)
    rows = np.arange(len(code))
    others = np.array(scores, float)
    others[rows, code] = -np.inf
    with np.errstate(divide="ignore"):
        odds = scores[rows, code] - logsumexp(others, axis=1)
    return code, np.where(np.isposinf(odds), log_odds(np.ones(len(code))), odds)


def log_odds(share: np.ndarray) -> np.ndarray:
    """Log-odds of probabilities or shares, finite for 0 and 1; NaN stays."""
    inside = np.clip(share, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(inside / (1 - inside)))


def fit_odds(odds: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """Slope and intercept of the log-odds, and from how many spectra (``n``) they come; JSON-able.

    odds: as stated, of n classes told; right: 1.0 where the class is right, else 0.0.  With fewer than MIN_SPECTRA
    the slope is 1 and the intercept 0.  Normal priors of width 1 about 1 and 0 keep them finite where all are right.
    """
    n = len(odds)
    if n < MIN_SPECTRA:
        return {"slope": 1.0, "intercept": 0.0, "n": n}
    features, prior = np.stack([odds, np.ones(n)], axis=1), np.array([1.0, 0.0])

    def loss(theta: np.ndarray) -> float:
        stated = features @ theta
        return float((np.logaddexp(0, stated) - right * stated).sum() + ((theta - prior) ** 2).sum() / 2)

    theta = np.zeros(2)  # from where Newton's method finds the least loss of a logistic regression
    for _ in range(_STEPS):
        chance = expit(features @ theta)
        gradient = features.T @ (chance - right) + theta - prior
        curvature = (features * (chance * (1 - chance))[:, None]).T @ features + np.eye(2)
        step, here = -np.linalg.solve(curvature, gradient), loss(theta)
        while np.abs(step).max() > _SMALL and loss(theta + step) > here:
            step = step / 2
        theta = theta + step
        if np.abs(step).max() <= _SMALL:
            break
    return {"slope": float(theta[0]), "intercept": float(theta[1]), "n": n}


def probability(odds: np.ndarray, fitted: Mapping[str, float]) -> np.ndarray:
    """Probabilities of stated log-odds by a fit of :func:`fit_odds`; NaN stays."""
    return np.asarray(expit(fitted["slope"] * odds + fitted["intercept"]))
