"""Figures of the page: how they travel inside one file."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

from starglot.errors import StarglotError
from starglot.report.figure_files import FigureFile

#: Colours of an embedded figure: ours have few, and a palette is a third of the size.
_COLOURS = 64


@dataclass(frozen=True)
class EmbeddedFigure:
    """A figure as the template shows it: data address, size in pixels, and addresses of its files beside the page."""

    caption: str
    address: str
    width: int
    height: int
    files: dict[str, str]


def embedded(figure: FigureFile) -> EmbeddedFigure:
    """``figure`` as a data address, at the size of its PNG in few colours; its files are linked, not needed.

    Raises StarglotError when the PNG is not there.
    """
    path = figure.file("png")
    if not path.is_file():
        raise StarglotError("a figure of the report is not there", where=path, todo="snakemake tables")
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    few = image.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")
    packed = io.BytesIO()
    few.save(packed, "WEBP", lossless=True, quality=70, method=4)
    address = f"data:image/webp;base64,{base64.b64encode(packed.getvalue()).decode('ascii')}"
    files = {
        ending.upper(): f"{path.parent.name}/{figure.file(ending).name}"
        for ending in ("svg", "png")
        if figure.file(ending).is_file()
    }
    return EmbeddedFigure(figure.caption, address, *image.size, files)
