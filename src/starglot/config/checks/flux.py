"""What is wrong with wavelength grids, and with encodings of the flux on them."""

from __future__ import annotations

from collections.abc import Iterator

from starglot.config.patches import Patches
from starglot.config.recipes import View, Wavelength
from starglot.config.root import Config, Encoding


def wavelength_faults(config: Config) -> Iterator[str]:
    """Of the grids of recipes, and of what a survey has to cover."""
    for name, recipe in config.recipes.items():
        yield from _grid(f"recipes.{name}.wavelength", recipe.wavelength)
    surveys = config.surveys.with_spectra()
    paired = [view for pairs in config.pairs.values() for view in pairs.views]
    for text in dict.fromkeys([*(task.view for task in config.tasks.values()), *paired]):
        view = View(text)
        if view.survey in surveys and view.recipe in config.recipes:
            grid, (low, high) = config.recipes[view.recipe].wavelength, surveys[view.survey].coverage
            if grid.start < grid.stop and (grid.start < low or grid.stop > high):
                yield (
                    f"recipes.{view.recipe}.wavelength: {grid.start:g}-{grid.stop:g} A is not covered by the release "
                    f"({low:g}-{high:g} A, surveys.{view.survey}.coverage)"
                )


def _grid(at: str, grid: Wavelength) -> Iterator[str]:
    if grid.stop <= grid.start:
        yield f"{at}: stop ({grid.stop:g}) must be above start ({grid.start:g})"
    elif grid.log:
        if grid.size < 2:
            yield f"{at}: a logarithmic grid needs its size, 2 values or more"
        if "step" in grid.model_fields_set:
            yield f"{at}: a logarithmic grid has a size and no step; use a recipe of another name for it"
    else:
        steps = (grid.stop - grid.start) / grid.step
        if abs(steps - round(steps)) > 1e-6:
            yield f"{at}: step {grid.step:g} does not divide {grid.start:g}-{grid.stop:g}"
        elif grid.size != round(steps) + 1:
            yield f"{at}: size {grid.size} is not what start, stop and step make; leave it out, or set `log: true`"


def task_grids(config: Config) -> Iterator[tuple[str, int]]:
    """The recipes that tasks see spectra through, and how many values each one has."""
    for name in dict.fromkeys(View(task.view).recipe for task in config.tasks.values()):
        if name in config.recipes:
            yield f"recipes.{name}.wavelength", config.recipes[name].wavelength.size


def encoding_faults(config: Config) -> Iterator[str]:
    """Of encodings, on the grids of the tasks."""
    for name, encoding in config.encodings.items():
        for grid, size in task_grids(config):
            key, width = ("width", encoding.width) if isinstance(encoding, Patches) else ("bin", encoding.bin)
            if width > size:
                yield f"encodings.{name}.{key}: {width} is more than the {size} values of {grid}"
        if not isinstance(encoding, Patches) and (encoding.form == "digits" or encoding.digits):
            yield from _digits(f"encodings.{name}", encoding)
        if isinstance(encoding, Patches) and encoding.step > encoding.width:
            yield (
                f"encodings.{name}.stride: {encoding.step} is more than the width, {encoding.width}: the values "
                "between two patches would never be read"
            )


def _digits(at: str, encoding: Encoding) -> Iterator[str]:
    """What is wrong with an encoding that writes digits, or has settings of digits and writes none."""
    digits = encoding.digits
    if encoding.form != "digits":
        yield f"{at}.digits: with form digits alone, not '{encoding.form}'"
        return
    if encoding.preparation != "as_is":
        yield f"{at}.preparation: digits write scaled flux as it is; set as_is"
    if digits and digits.signed and digits.plus == digits.minus:
        yield f"{at}.digits.minus: negative and other values begin alike, with {digits.minus!r}"
    if digits and (
        digits.time_sep == digits.bit_sep or any(each.isdigit() for each in digits.time_sep + digits.bit_sep)
    ):
        yield f"{at}.digits: bit_sep and time_sep must differ and hold no digit"
