"""Names of the configuration as wildcards: models by how they answer, sizes, prediction sets, bases."""

import re

from starglot.config import derive, derived
from starglot.config.bases import is_hub_id
from starglot.config.names import SUFFIX
from starglot.surveys.shard_names import SHARD_NAME

LLMS = [name for name in CONFIG.run.models if name.startswith("llm")]
ALL_LLMS = [name for name in CONFIG.models if name.startswith("llm")]
ENSEMBLES = [name for name, it in CONFIG.models.items() if it.kind == "ensemble"]
BASELINES = [
    name
    for name in CONFIG.models
    if not name.startswith("llm") and name not in ENSEMBLES
]
NETWORKS = [
    name for name in BASELINES if derive.family(CONFIG.models[name]) == "network"
]
CURVED = [name for name in CONFIG.run.models if name in LLMS or name in NETWORKS]
ALTERED_SETS = derive.altered_sets(CONFIG)
OUTSIDE_BASES = derive.outside_bases(CONFIG)
HUB_BASES = [slug for slug, (name, _) in OUTSIDE_BASES.items() if is_hub_id(name)]


def one_of(names):
    """A wildcard that is one of the configuration's names."""
    return (
        "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        or "none"
    )


def models_among(names):
    """A wildcard that is one of the configuration's models, or derived from one: 'ridge.s1' (docs/scaling.md)."""
    return f"(?:{one_of(names)}){SUFFIX}"


#: Surveys beside LAMOST, whose stars are found among its own.
EXTERNAL = "apogee|galah|gaia_eso"

SIZE = one_of({size for task in CONFIG.tasks.values() for size in task.sample.sizes})
#: A size, or what is left of it without a fold: '1e5.f3'.
SAMPLE = rf"(?:{SIZE})(?:\.f[0-9]+)?"


wildcard_constraints:
    hub=one_of(HUB_BASES),
    own=one_of(set(OUTSIDE_BASES) - set(HUB_BASES)),
    survey=EXTERNAL,
    shard=SHARD_NAME,
    task=one_of(CONFIG.tasks),
    size=SIZE,
    fold="[0-9]+",
    encoding=one_of(CONFIG.encodings),
    model=models_among(CONFIG.models),
    base=one_of(CONFIG.bases),
    set=one_of(
        (
            "val",
            "test",
            "common",
            derive.SWEEP_SET,
            *derive.SAMPLED_SETS,
            *ALTERED_SETS,
        )
    ),
