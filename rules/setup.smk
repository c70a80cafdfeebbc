"""The checked configuration, and what all jobs share: interpreter, environment, folders that can be written."""

import gc
import inspect
import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

from starglot.config.load import load_config
from starglot.errors import StarglotError
from starglot.folders import make_folders, require_folders, require_writable
from starglot.workflow.groups import bound_groups
from starglot.workflow.rebuilds.accepted import RECORDS, read_accepted
from starglot.training.begun import RUN, new_run

# A graph of thousands of jobs is millions of objects, hardly one of which is ever let go; at its own thresholds Python
# looks through all of them again and again, for a fifth of the time that planning takes.
gc.set_threshold(100_000, 50, 50)

bound_groups()

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


def of_many_jobs(function):
    """`function` with its signature at hand, for one that is called for thousands of jobs.

    Snakemake asks for the signature twice a call; finding it anew takes a twentieth of the time of planning.
    """
    function.__signature__ = inspect.signature(function)
    return function


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

# Where jobs go on a cluster, unless a profile names a file of its own (snakemake-executor-plugin-slurm reads this).
os.environ.setdefault(
    "SNAKEMAKE_SLURM_PARTITIONS",
    str(Path(workflow.basedir) / "profiles" / "slurm" / "partitions.yaml"),
)
# Job scripts never reach for a model hub: what they need is fetched beforehand.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Jobs know by it which run they belong to, wherever they run: a training that has begun goes on within its own.
if workflow.is_main_process:
    os.environ[RUN] = new_run()
# bitsandbytes has torch's compiler loaded for fallbacks that are not used here: two seconds of every start.
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")


ENV = "../envs/starglot.yaml"
