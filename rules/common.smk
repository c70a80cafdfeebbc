"""The checked configuration, and the few helpers that every rule file uses."""

import json
import os
import re
import shlex
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

from starglot.config import derive, derived
from starglot.config.bases import base_slug, is_hub_id
from starglot.config.load import load_config
from starglot.config.names import SUFFIX
from starglot.config.picked import picked
from starglot.errors import StarglotError
from starglot.fingerprint import Fingerprints
from starglot.folders import require_folders, require_writable
from starglot.models.bases import base_files, local_folder, missing_files, same_files
from starglot.provenance.code import code_definitions, hash_of
from starglot.rebuilds.accepted import RECORDS, kept_hashes, read_accepted
from starglot.rebuilds.explain import record_code
from starglot.recovery import note_run
from starglot.report.inputs import shown_on_request
from starglot.surveys.shard_names import SHARD_NAME
from starglot.tables import read_json
from starglot.training.begun import RUN, new_run

try:
    CONFIG = load_config(
        config,
        "config/config.yaml and the files laid over it",
        files=dict.fromkeys(map(str, workflow.configfiles)),
    )
    require_folders(CONFIG.results, CONFIG.state_dir)
    require_writable(".snakemake")
    ACCEPTED = read_accepted(f"{CONFIG.results}/{RECORDS}")
except StarglotError as error:
    raise WorkflowError(str(error))


def verbatim(text):
    """`text` as it stands: quoted for the shell, and for Snakemake, which formats what it puts before commands."""
    return shlex.quote(str(text)).replace("{", "{{").replace("}", "}}")


# Our prefix replaces Snakemake's own, which is this: without it, that `tee` went well hides that a command failed.
STRICT = "set -euo pipefail;"
# Jobs use the interpreter that runs Snakemake, also where no environment is activated; with conda, the rule's
# environment brings the interpreter and this project its package.
if DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method:
    shell.prefix(
        f"{STRICT} export PYTHONPATH={verbatim(Path(workflow.basedir) / 'src')}; "
    )
else:
    shell.prefix(
        f'{STRICT} export PATH={verbatim(os.path.dirname(sys.executable))}:"$PATH"; '
    )

# Job scripts never reach for a model hub: what they need is fetched beforehand.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Jobs know by it which run they belong to, wherever they run: a training that has begun goes on within its own.
if workflow.is_main_process:
    os.environ[RUN] = new_run()
# bitsandbytes has torch's compiler loaded for fallbacks that are not used here: two seconds of every start.
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")

#: Of this project, wherever it is called from: a run's own folder is another where `--directory` names one.
SCRIPTS = Path(workflow.basedir) / "workflow" / "scripts"


def scripts_folder(wildcards, input):
    """A param of every rule: where the scripts are.

    `input` is asked for and not used: Snakemake records no param that follows from other parts of a job, and a project
    that was moved runs nothing again.
    """
    return str(SCRIPTS)


ENV = "../envs/starglot.yaml"
# Of jobs that could start, those of the language models and what they are asked go first: their way is the longest, and
# left to the end it would run beside nothing.
AWAITED = 10

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


SIZE = one_of({size for task in CONFIG.tasks.values() for size in task.sizes})
#: A size, or what is left of it without a fold: '1e5.f3'.
SAMPLE = rf"(?:{SIZE})(?:\.f[0-9]+)?"


wildcard_constraints:
    hub=one_of(HUB_BASES),
    own=one_of(set(OUTSIDE_BASES) - set(HUB_BASES)),
    survey="apogee|galah|gaia_eso",
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


#: Code hash -> the definitions behind it, for every job that was looked at; jobs run once RUNNING says something.
CODE, RUNNING = {}, []


@cache
def code_of(script, names):
    """(hash of a script's code, wildcards -> hash that stands for it); `names`: what it picks from registries."""
    definitions = code_definitions(SCRIPTS / f"{script}.py", dict(names))
    now = hash_of(definitions)
    CODE[now] = definitions
    # A job on a cluster reads the code anew, edited meanwhile perhaps; what lies below the inventory is known late.
    if RUNNING or not workflow.is_main_process:
        record_code(Path(CONFIG.state_dir) / "code", now, definitions)
    return now, kept_hashes(ACCEPTED, script, now)


def code(script):
    """Hash of the code that a job of this script runs; a param of every rule.

    For a job whose result was accepted as current (docs/rebuilds.md), the hash of the code that made the result.
    """

    def hashed(wildcards):
        told = dict(wildcards.items())
        now, kept = code_of(script, tuple(picked(CONFIG, told).items()))
        return kept.get(frozenset(told.items()), now)

    return hashed


#: Digests of the user's catalogues; on disk only once jobs run.
FINGERPRINTS = Fingerprints(f"{CONFIG.state_dir}/fingerprints.json")


onstart:
    try:
        require_writable(CONFIG.results, CONFIG.state_dir)
    except StarglotError as error:
        raise WorkflowError(str(error))
    FINGERPRINTS.keep()
    note_run(Path.cwd(), workflow.dag_settings.targets)
    RUNNING.append(True)
    for hashed, definitions in CODE.items():
        record_code(Path(CONFIG.state_dir) / "code", hashed, definitions)


def leaves(**values):
    """Config leaves as the JSON that `--settings` takes.

    A name in braces inside a text is written with an escape: Snakemake would take it for a wildcard.
    """
    return re.sub(r"\{(?=\s*[.\w])", r"\\u007b", json.dumps(values, sort_keys=True))


def in_report(path, caption, category, **labels):
    """Mark outputs for `snakemake --report`; captions are in workflow/report."""
    return report(
        path,
        caption=f"../workflow/report/{caption}.rst",
        category=category,
        labels=labels,
    )


def grow(first):
    """A resource that grows with every attempt."""

    def amount(wildcards, attempt):
        return int(first * 1.7 ** (attempt - 1))

    return amount


def shards(wildcards=None):
    """Names of the shards, known once the inventory has been taken."""
    listed = Path(checkpoints.inventory.get().output.shards)
    return listed.read_text(encoding="utf-8").split()


def all_spectra(wildcards):
    """The cleaned spectra of every shard."""
    return expand("<results>/spectra/{shard}.parquet", shard=shards())


def all_spectra_digests(wildcards):
    """The digests of every shard's cleaned spectra."""
    return expand("<results>/spectra/{shard}.sha256", shard=shards())


def digests(*large):
    """Input function: the digest files of large files, which are inputs as `ancient()` beside it.

    A rule runs when a digest changes, whatever the age of the large file (docs/rebuilds.md).  Each of `large` is a
    path, or an input function that returns paths.
    """

    def beside(wildcards):
        paths = []
        for each in large:
            found = each(wildcards) if callable(each) else each.format(**wildcards)
            paths += [found] if isinstance(found, str) else found
        return [f"{path}.sha256" for path in paths]

    return beside


def qa_files(task, encoding, size, split):
    """The question-and-answer files of one split."""
    return [
        f"<results>/qa/{task}/{encoding}/{size}/{split}-{part:04d}.jsonl.gz"
        for part in range(CONFIG.qa.files.get(split, CONFIG.qa.files["test"]))
    ]


def built(pattern, models=CONFIG.run.models, **extra):
    """`pattern` for every task, size and model of `run:` (and every value in `extra`)."""
    return [
        path
        for task in CONFIG.run.tasks
        for path in expand(
            pattern,
            task=task,
            size=derive.sizes_of(CONFIG, task),
            model=models,
            **extra,
        )
    ]
