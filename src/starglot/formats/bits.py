"""Survey bitmasks: which bits have names, and whether a flag has any of the bits that matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

#: ASPCAPFLAG (SDSS bitmask APOGEE_ASPCAPFLAG); bit n + 16 is the _BAD of bit n's _WARN.
_ASPCAP_WARN = (
    *("TEFF", "LOGG", "VMICRO", "M_H", "ALPHA_M", "C_M", "N_M", "STAR", "CHI2", "COLORTE", "ROTATION", "SN"),
)
ASPCAPFLAG: Mapping[int, str] = {
    **{bit: f"{name}_WARN" for bit, name in enumerate(_ASPCAP_WARN)},
    **{bit + 16: f"{name}_BAD" for bit, name in enumerate(_ASPCAP_WARN)},
    31: "NO_ASPCAP_RESULT",
}

#: PARAMFLAG, ELEMFLAG and the X_FE_FLAGs (SDSS bitmask APOGEE_PARAMFLAG).
PARAMFLAG: Mapping[int, str] = {
    0: "GRIDEDGE_BAD",
    1: "CALRANGE_BAD",
    2: "OTHER_BAD",
    3: "FERRE_FAIL",
    4: "PARAM_MISMATCH_BAD",
    5: "FERRE_ERR_USED",
    6: "TEFF_CUT",
    8: "GRIDEDGE_WARN",
    9: "CALRANGE_WARN",
    10: "OTHER_WARN",
    11: "FERRE_WARN",
    12: "PARAM_MISMATCH_WARN",
    13: "OPTICAL_WARN",
    14: "ERR_WARN",
    15: "FAINT_WARN",
    16: "PARAM_FIXED",
    17: "RV_WARN",
    24: "SPEC_RC",
    25: "SPEC_RGB",
    26: "LOGG_CAL_MS",
    27: "LOGG_CAL_RGB_MS",
}

#: EXTRATARG bit of a second entry of the same star.
EXTRATARG_DUPLICATE = 4

Bits = Sequence[int] | Literal["all"]


def bits_set(flags: np.ndarray, bits: Bits) -> np.ndarray:
    """Whether any of ``bits`` ("all": any bit at all) is set, elementwise.

    ``flags`` are integers of any width and shape; bit 31 of a signed 32-bit flag is found as well.
    """
    flags = np.asarray(flags).astype(np.int64)
    if bits == "all":
        return np.asarray(flags != 0)
    mask = np.int64(0)
    for bit in bits:
        mask |= np.int64(1) << np.int64(int(bit))
    return np.asarray((flags & mask) != 0)


def count_bits(flags: np.ndarray, names: Mapping[int, str]) -> dict[str, int]:
    """How many of ``flags`` have each named bit set, commonest first; bits that nobody has are left out."""
    flags = np.asarray(flags).astype(np.int64)
    counts = {name: int(bits_set(flags, [bit]).sum()) for bit, name in names.items()}
    return dict(sorted(((n, c) for n, c in counts.items() if c), key=lambda item: -item[1]))
