"""Names of the configuration as wildcards: models by how they answer, sizes, prediction sets, bases."""

import re

from starglot.config import (
    comparisons,
    embeddings,
    language_bases,
    paper,
    queries,
    starts,
    variants,
)
from starglot.config.bases.outside import is_hub_id
from starglot.config.kinds.registry import reading
from starglot.config.names import SUFFIX
from starglot.config.recipes import View
from starglot.surveys.shard_names import SHARD_NAME

ALL_LLMS, PATCH_LLMS, BASELINES, ENSEMBLES, PIPELINES = (
    reading(CONFIG.models, CONFIG.models, needs)
    for needs in (
        "questions",
        "spectra and base",
        "spectra",
        "predictions",
        "catalogue",
    )
)
#: Models whose training leaves a loss curve.
CURVED = queries.curved(CONFIG, CONFIG.models)
ALTERED_SETS = queries.altered_sets(CONFIG)
OUTSIDE_BASES = language_bases.outside_bases(CONFIG)
HUB_BASES = [slug for slug, (name, _) in OUTSIDE_BASES.items() if is_hub_id(name)]


def one_of(names):
    """A wildcard that is one of the configuration's names."""
    return (
        "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        or "none"
    )


def models_among(names):
    """A wildcard that is one of the configuration's models, or a variant of one: 'ridge.s1' (docs/scaling.md)."""
    return f"(?:{one_of(names)}){SUFFIX}"


#: Surveys whose spectra are read, and those that may judge a task by their labels of the same stars: any; what the
#: survey of its spectra holds out judges it, too.
SPECTRUM_SURVEYS = one_of(CONFIG.surveys.with_spectra())
EXTERNAL = one_of([*CONFIG.surveys.named(), queries.HELD_OUT])
#: Surveys whose spectra tasks ask about, and the indexes of all cleaned spectra (docs/rebuilds.md).
VIEWED_SURVEYS = list(dict.fromkeys(View(view).survey for view in CONFIG.views))
VIEW_INDEXES = [f"<results>/spectra/{view}/index.tsv" for view in CONFIG.views]
#: The selected catalogue rows of these surveys.
ALL_CANDIDATES = [
    f"<results>/catalog/candidates/{survey}.parquet" for survey in VIEWED_SURVEYS
]

SIZE = one_of({size for task in CONFIG.tasks.values() for size in task.sample.sizes})
#: A size, or what is left of it without a fold: '1e5.f3'.
SAMPLE = rf"(?:{SIZE})(?:\.f[0-9]+)?"


#: Encodings by which flux becomes text, and those by which it becomes tokens.
TOKEN_ENCODING = one_of(queries.token_encodings(CONFIG))
TEXT_ENCODING = one_of(set(CONFIG.encodings) - set(queries.token_encodings(CONFIG)))


wildcard_constraints:
    hub=one_of(HUB_BASES),
    own=one_of(set(OUTSIDE_BASES) - set(HUB_BASES)),
    survey=one_of(CONFIG.surveys.named()),
    other=one_of(CONFIG.surveys.named()),
    recipe=one_of(CONFIG.recipes),
    shard=SHARD_NAME,
    task=one_of(CONFIG.tasks),
    size=SIZE,
    fold="[0-9]+",
    encoding=one_of(CONFIG.encodings),
    model=models_among(CONFIG.models),
    base=one_of(CONFIG.bases),
    pairs=one_of(CONFIG.pairs),
    set=one_of(
        (
            "val",
            "test",
            "common",
            queries.SWEEP_SET,
            *queries.SAMPLED_SETS,
            *ALTERED_SETS,
        )
    ),
