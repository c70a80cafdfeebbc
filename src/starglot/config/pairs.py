"""Settings of pairs: spectra of one star in two views."""

from __future__ import annotations

from pydantic import Field

from starglot.config.recipes import View
from starglot.config.strict import Strict


class Pairs(Strict):
    """Two views of the same stars, one spectrum of each star in either."""

    views: tuple[str, str] = Field(
        description="Two views of different surveys, each a survey and, after `/`, a name under `recipes`."
    )

    @property
    def surveys(self) -> tuple[str, str]:
        """The surveys of the two views."""
        return View(self.views[0]).survey, View(self.views[1]).survey
