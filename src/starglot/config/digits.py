"""Settings of the encoding `digits`: flux as the digits of scaled values."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from starglot.config.strict import Strict


class Digits(Strict):
    """How a scaled value is written in digits.

    "Teaching LLMs to Speak Spectroscopy" (section 3.1) shows `4|5|6, 7|5|4, 1|1|2|0, ` of 4.56, 7.54, 11.2; llmtime
    (Gruver et al. 2023), on which it builds, cannot write that: it sets the separator before every digit and cuts
    where the paper rounds.  Both are here.
    """

    style: Literal["paper", "llmtime"] = Field(
        "paper",
        description="paper: digits joined by `bit_sep`, values rounded; llmtime: `bit_sep` before every digit, "
        "values cut off after the last digit.",
    )
    base: int = Field(10, ge=2, le=10, description="Base of the digits.")
    precision: int = Field(2, ge=0, le=6, description="Digits after the point, which is not written.")
    signed: bool = Field(True, description="false: negative values are written as 0.")
    plus: str = Field("", description="Stands before a value that is not negative.")
    minus: str = Field("-", description="Stands before a negative value.")
    bit_sep: str = Field("|", description="Between digits (paper), or before each (llmtime).")
    time_sep: str = Field(", ", min_length=1, description="Behind every value, the last one, too.")
    fixed_length: int = Field(
        0, ge=0, le=12, description="Write so many digits, with leading zeros; 0: as many as there are."
    )
    scaler: Literal["llmtime", "basic", "none"] = Field(
        "llmtime",
        description="llmtime: (x - m) / q, with m below the least value and q the alpha quantile of x - m; basic: x "
        "over the alpha quantile of |x|; none: normalised flux as it is.",
    )
    alpha: float = Field(0.95, gt=0, le=1, description="Quantile that becomes 1.")
    beta: float = Field(0.3, ge=0, le=10, description="m is the least value less this part of the range.")
