"""Prediction tables with known answers, for the tests of evaluation, plots and report."""

import numpy as np
import pyarrow as pa

from starglot.labels import ABUNDANCE_NAMES, CLASSES
from starglot.tables import PREDICTION

#: Teff, log g at the middle of each class.
MIDDLE = {"A": (8200.0, 3.9), "F": (6600.0, 4.1), "G": (5700.0, 4.3), "K": (4700.0, 3.5), "M": (3700.0, 4.6)}


def predictions(labels, *, stars=60, error=1.0, seed=0, sigma=True, visits=2, failed=0, answers_class=True):
    """Stars of all classes, some observed twice, with errors that grow with ``error``.

    The truth depends on ``stars`` alone; the first ``failed`` rows of every label are unparsable.
    """
    truths, noise = np.random.default_rng(stars), np.random.default_rng(seed)
    rows = []
    for star in range(stars):
        letter = CLASSES[star % 5]
        teff, logg = MIDDLE[letter]
        feh = truths.normal(-0.3, 0.3)
        truth = {"teff": truths.normal(teff, 300), "logg": truths.normal(logg, 0.3), "feh": feh}
        truth |= {name: truths.normal(0.1 - 0.2 * feh, 0.1) for name in ABUNDANCE_NAMES}
        for visit in range(1 + star % visits):
            for label in labels:
                width = error * {"teff": 120.0, "logg": 0.15, "feh": 0.1}.get(label, 0.07)
                bad = star * visits + visit < failed
                rows.append(
                    {
                        "obsid": 10 * star + visit,
                        "star_id": f"gaia:{star:04d}",
                        "class": letter,
                        "class_pred": letter if answers_class else None,
                        "class_probability": 0.9 if answers_class else None,
                        "class_log_odds": 2.2 if answers_class else None,
                        "label": label,
                        "truth": truth[label],
                        "value": None if bad else truth[label] + noise.normal(0, width),
                        "sigma": width if sigma and not bad else None,
                        "sigma_raw": width if sigma and not bad else None,
                        "status": "unparsable" if bad else "ok",
                        "seen": False,
                    }
                )
    return pa.Table.from_pylist(rows, schema=PREDICTION)


def with_rows(table, **changes):
    """``table`` with column ``name`` changed by ``changes[name]``: {row: value}."""
    rows = table.to_pylist()
    for name, values in changes.items():
        for row, value in values.items():
            rows[row][name] = value
    return pa.Table.from_pylist(rows, schema=PREDICTION)
