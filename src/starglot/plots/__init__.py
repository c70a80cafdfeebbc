"""Figures.  matplotlib comes up without a window and without a look at the user's settings, which may be faulty."""

import os
from importlib.util import find_spec

os.environ["MPLBACKEND"] = "Agg"
if (_matplotlib := find_spec("matplotlib")) is not None and _matplotlib.origin is not None:
    os.environ["MATPLOTLIBRC"] = os.path.join(os.path.dirname(_matplotlib.origin), "mpl-data", "matplotlibrc")
