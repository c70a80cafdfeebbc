"""What encoders, aligned pairs and embeddings cost: operations from their shapes, spectra from the configuration.

Operations are those of matrix products: 2 for each weight and token forward, and in a masked encoder 4 for each pair
of tokens, block and width.  Training takes three times as many; where only low-rank updates are taught, twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from starglot.config import variants
from starglot.config.bases.aligned import AlignedBase
from starglot.config.bases.encoders import AutoencoderBase, EncoderBase, MaskedEncoderBase
from starglot.config.embeddings import embedding_base, embedding_bases, encoders_of, line_of
from starglot.config.recipes import View
from starglot.config.root import Config

#: Operations a second of encoders' trainings, which are in float32: of a GPU (not measured; an H100 has 67e12 at most
#: without its matrix units), and of one core (benchmarks/encoders.py: 36e9 of a small masked encoder, 14e9 of a small
#: autoencoder).
GPU_RATE, CORE_RATE = 30e12, 25e9
#: Pixels of a piece and between pieces, and how much wider dense layers are inside (starglot.models.encoders, which
#: needs torch).
_PIECE, _STEP, _WIDER, _BLOCKS, _INSIDE = 20, 10, 4, 2, 3
#: Bytes of what frozen encoders give that a training of heads holds (starglot.training.alignment).
_HELD = 1 << 30


@dataclass(frozen=True)
class BaseJob:
    """The training of a base, or embeddings for models.

    what: 'train' or 'embed'; base, kind: which; examples: spectra or pairs, None where the configuration does not
    tell; passes: over them; operations: of one example in one pass; gpu: whether a GPU does it.
    """

    what: str
    base: str
    kind: str
    examples: int | None
    passes: int
    operations: float
    gpu: bool

    @property
    def seconds(self) -> float | None:
        """On a GPU, or on one core."""
        rate = GPU_RATE if self.gpu else CORE_RATE
        return None if self.examples is None else self.examples * self.passes * self.operations / rate


def base_jobs(config: Config, given: Mapping[str, int] | None = None) -> Iterator[BaseJob]:
    """Trainings of the encoders and aligned pairs that a run builds, each after those that it stands on; embeddings.

    given: spectra by view, and pairs by name, where the configuration does not tell how many there are.
    """
    counted, bases = given or {}, embedding_bases(config)
    learning = 1 - config.split.test
    for name in built_bases(config):
        base = bases[name]
        if isinstance(base, EncoderBase):
            n = spectra_of_view(config, base.view, counted)
            train = None if n is None else round(n * config.split.train)
            steps = _steps(base) * forward(config, base)
            yield BaseJob("train", name, base.kind, train, base.training.epochs, steps, bool(base.gpus))
            continue
        n = pairs_of(config, base.pairs, counted)
        train = None if n is None else round(n * config.split.train)
        encoders = [bases[each] for each in base.encoders]
        read, held = _features(config, base), sum(_bytes(config, each) for each in encoders)
        again = n is None or held * n * learning > _HELD
        steps = _steps(base) * sum(_heads(config, base)) + (read if again else read / base.training.epochs)
        yield BaseJob("train", name, base.kind, train, base.training.epochs, steps, bool(base.gpus))
    for name, views in _embedded(config).items():
        found = [spectra_of_view(config, view, counted) for view in views]
        total = None if None in found else sum(n for n in found if n is not None)
        base = bases[name]
        yield BaseJob("embed", name, base.kind, total, 1, _embedding(config, base), bool(base.gpus))


def built_bases(config: Config) -> list[str]:
    """Encoders and aligned pairs that `run:` and the models of the run stand on, in the order of their making."""
    bases = embedding_bases(config)
    wanted = [*config.run.bases, *(embedding_base(config, name) for name in config.opened)]
    found: dict[str, None] = {}
    for name in (each for each in wanted if each in bases):
        encoders = reversed(encoders_of(config, name))
        found |= dict.fromkeys([*encoders, *reversed(line_of(config, name))])
    return list(found)


def _embedded(config: Config) -> dict[str, set[str]]:
    """Base -> views whose spectra are embedded for models of the run."""
    found: dict[str, set[str]] = {}
    for model in (each for each in config.opened if embedding_base(config, each)):
        swept = model in (config.scaling.models or [])
        tasks = [
            each for each in (*config.run.tasks, *config.scaling.tasks) if swept or model in config.models_of(each)
        ]
        starts = [init for each in config.opened.values() if (init := getattr(each, "init", None))]
        tasks += [init.task for init in starts if init.model == model]
        base = str(embedding_base(config, variants.variant(config, model).model))
        found.setdefault(base, set()).update(config.tasks[task].view for task in tasks if task in config.tasks)
    return found


def spectra_of_view(config: Config, view: str, given: Mapping[str, int]) -> int | None:
    """Cleaned spectra of a view, at most: the largest sample of it, or all that the mock has; None where not told."""
    if view in given:
        return given[view]
    tasks = [config.tasks[name] for name in config.seen_tasks if config.tasks[name].view == view]
    sizes = [count for task in tasks for count in task.sample.sizes.values()]
    if config.mock is not None:
        part = config.surveys.named()[View(view).survey].mock_part
        seen = getattr(getattr(config.mock, part), "fraction", 1.0) if part else 1.0
        return round(config.mock.spectra * seen)
    return None if None in sizes or not sizes else max(count for count in sizes if count is not None)


def pairs_of(config: Config, name: str, given: Mapping[str, int]) -> int | None:
    """Pairs of two views, at most: as many as the smaller has spectra."""
    if name in given:
        return given[name]
    found = [spectra_of_view(config, view, given) for view in config.pairs[name].views]
    return None if None in found else min(n for n in found if n is not None)


def _steps(base: EncoderBase | AlignedBase) -> int:
    """Passes through a network that a training step is worth."""
    return 2 if base.init and base.transfer and base.transfer.strategy == "lora" else 3


def _pixels(config: Config, base: EncoderBase) -> int:
    return config.recipe_of(base.view).wavelength.size


def _tokens(config: Config, base: EncoderBase) -> int:
    return (_pixels(config, base) - _PIECE) // _STEP + 2 if isinstance(base, MaskedEncoderBase) else 1


def forward(config: Config, base: EncoderBase) -> float:
    """Operations for a spectrum that passes through a whole encoder once."""
    pixels, width = _pixels(config, base), base.width
    if isinstance(base, MaskedEncoderBase):
        tokens = _tokens(config, base)
        weights = 2 * (_PIECE + 1) * width + base.blocks * (4 + 2 * _WIDER) * width**2
        return 2.0 * weights * tokens + 4.0 * base.blocks * tokens**2 * width
    assert isinstance(base, AutoencoderBase)
    hidden = base.hidden
    return 4.0 * ((pixels + 2) * hidden + _BLOCKS * 2 * _INSIDE * hidden**2 + hidden * width)


def _embedding(config: Config, base: EncoderBase | AlignedBase) -> float:
    """Operations for the embedding of a spectrum: of an autoencoder half of it; of a pair, its dearer side."""
    if isinstance(base, AutoencoderBase):
        return forward(config, base) / 2
    if isinstance(base, EncoderBase):
        return forward(config, base)
    bases, heads = embedding_bases(config), _heads(config, base)[:2]
    return max(_embedding(config, bases[name]) + head for name, head in zip(base.encoders, heads, strict=True))


def _features(config: Config, base: AlignedBase) -> float:
    """Operations for what both frozen encoders make of a pair."""
    bases = embedding_bases(config)
    return sum(_embedding(config, bases[name]) for name in base.encoders)


def _bytes(config: Config, encoder: EncoderBase | AlignedBase) -> int:
    assert isinstance(encoder, EncoderBase)
    return 4 * _tokens(config, encoder) * encoder.width


def _heads(config: Config, base: AlignedBase) -> tuple[float, float, float]:
    """Operations for a pair that passes once through the heads of either view, and through the decoders if any."""
    bases, heads, decoders = embedding_bases(config), [0.0, 0.0], 0.0
    for place, name in enumerate(base.encoders):
        encoder = bases[name]
        assert isinstance(encoder, EncoderBase)
        pixels = _pixels(config, encoder)
        for width in (base.shared, base.own):
            if isinstance(encoder, MaskedEncoderBase):
                heads[place] += 4.0 * encoder.width * width * _tokens(config, encoder) + 4.0 * width**2
            else:
                heads[place] += 2.0 * (encoder.width * width + 2 * width * base.hidden)
            heads[place] += 4.0 * _WIDER * width**2
        if base.own:
            wide = _WIDER * base.shared
            decoders += 2.0 * ((base.shared + base.own) * pixels + 6 * pixels**2)
            decoders += 2.0 * (base.shared * wide + 2 * wide**2 + wide * pixels)
    return heads[0], heads[1], decoders
