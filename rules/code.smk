"""The code that a job runs and the contents of the user's files, as hashes; and what is noted when a run begins."""

from functools import cache

from starglot.config.picked import picked
from starglot.fingerprint import Fingerprints
from starglot.workflow.forecast import require_within_limits
from starglot.workflow.gpu_cost import Device
from starglot.workflow.provenance.code import code_definitions, hash_of
from starglot.workflow.rebuilds.accepted import kept_hashes
from starglot.workflow.rebuilds.explain import record_code
from starglot.workflow.recovery import note_run

#: Code hash -> the definitions behind it, for every job that was looked at; jobs run once RUNNING says something.
CODE, RUNNING = {}, []


@cache
def code_hash_of(script, names):
    """(hash of a script's code, wildcards -> hash that stands for it); `names`: what it picks from registries."""
    definitions = code_definitions(SCRIPTS / f"{script}.py", dict(names))
    now = hash_of(definitions)
    CODE[now] = definitions
    # A job on a cluster reads the code anew, edited meanwhile perhaps; what lies below the inventory is known late.
    if RUNNING or not workflow.is_main_process:
        record_code(Path(CONFIG.state_dir) / "code", now, definitions)
    return now, kept_hashes(ACCEPTED, script, now)


def code_hash(script):
    """Hash of the code that a job of this script runs; a param of every rule.

    For a job whose result was accepted as current (docs/rebuilds.md), the hash of the code that made the result.
    """

    @of_many_jobs
    def hashed(wildcards):
        told = dict(wildcards.items())
        now, kept = code_hash_of(script, tuple(picked(CONFIG, told).items()))
        return kept.get(frozenset(told.items()), now)

    return hashed


#: Digests of the user's catalogues; on disk only once jobs run.
FINGERPRINTS = Fingerprints(f"{CONFIG.state_dir}/fingerprints.json")


#: Targets that end before anything is trained.
BEFORE_TRAINING = {"inventory", "clean", "samples", "qa"}


def gpu_jobs_planned():
    """What, task, model and size of the jobs of language models that are to run, for the limit of GPU hours.

    None, which is all of `run:`, where an inventory is to be taken first: what follows it is planned only then.
    """
    if set(workflow.dag_settings.targets or {"all"}) <= BEFORE_TRAINING:
        return set()
    jobs = list(workflow.dag.needrun_jobs())
    if any(job.is_checkpoint for job in jobs):
        return None
    planned = {
        (
            job.rule.name.split("_")[0],
            *(job.wildcards.get(name) for name in ("task", "model", "size")),
        )
        for job in jobs
        if job.rule.name.startswith(("train_", "predict_"))
    }
    taught = [
        job.wildcards.base for job in jobs if job.rule.name == "train_masked_patches"
    ]
    return planned | {("train", CONFIG.bases[base].view, base, None) for base in taught}


# The one block of its kind: Snakemake keeps the last that it reads.
onstart:
    try:
        make_folders(CONFIG.results, CONFIG.state_dir)
        require_within_limits(CONFIG, Device(), gpu_jobs_planned())
    except StarglotError as error:
        raise WorkflowError(str(error))
    FINGERPRINTS.keep()
    note_run(Path.cwd(), workflow.dag_settings.targets)
    RUNNING.append(True)
    for hashed, definitions in CODE.items():
        record_code(Path(CONFIG.state_dir) / "code", hashed, definitions)
