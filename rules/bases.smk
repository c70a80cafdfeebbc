"""Base models: fetched from the hub, read from a folder, or made here: language models of the demo, and encoders."""

from starglot.models.bases import base_files, local_folder, missing_files, same_files
from starglot.tables import read_json


def hub_revision(wildcards):
    """The commit that the local cache has of a base of the hub: of its pinned revision, else of 'main' as it is now.

    Where the cache has none, or not all of it, what was asked for when the base was found last: results outlive it.
    """
    name, pinned = OUTSIDE_BASES[wildcards.hub]
    folder = local_folder(name, pinned)
    now = folder.name if folder and not missing_files(folder) else None
    path = Path(f"{CONFIG.results}/bases/{wildcards.hub}.json")
    found = read_json(path) if path.is_file() else {}
    asked = found.get("asked") if now in (None, found.get("revision")) else now
    return asked or pinned or ""


def outside_base(wildcards):
    """The Hugging Face id or the folder of a base from outside."""
    slug = wildcards.hub if "hub" in wildcards.keys() else wildcards.own
    return OUTSIDE_BASES[slug][0]


localrules:
    fetch_base,


rule fetch_base:
    """Make sure that a base model of the hub is in the local cache, and note its revision and its files' digests.

    Runs where snakemake runs; jobs are offline.
    """
    output:
        "<results>/bases/{hub}.json",
    log:
        "<results>/logs/fetch_base/{hub}.log",
    conda:
        ENV
    resources:
        mem_mb=1000,
        runtime=240,
    params:
        scripts=scripts_folder,
        name=outside_base,
        revision=hub_revision,
        state=state_in("bases"),
        code_hash=code_hash("fetch_base"),
    shell:
        "HF_HUB_OFFLINE=0 python {params.scripts:q}/fetch_base.py --base {params.name:q} --revision {params.revision:q}"
        " --state {params.state:q} --manifest {output:q} 2>&1 | tee {log:q}"


def own_base_files(wildcards):
    """The files of a base in a folder of the user's; none where it is not there, which the job says."""
    folder = local_folder(OUTSIDE_BASES[wildcards.own][0])
    return [str(folder / name) for name in base_files(folder)] if folder else []


def own_base_state(wildcards):
    """Names, sizes and times of those files, as a digest: their contents are read by the job, when these change."""
    folder = local_folder(OUTSIDE_BASES[wildcards.own][0])
    return same_files(folder) if folder else "absent"


# A base in a folder of the user's is known by its content, too: it is read when a file's size or time is another, in a
# job of its own, as there may be tens of GB of it.
use rule fetch_base as read_base with:
    input:
        files=ancient(own_base_files),
    output:
        "<results>/bases/{own}.json",
    log:
        "<results>/logs/read_base/{own}.log",
    params:
        scripts=scripts_folder,
        name=outside_base,
        revision="",
        files=own_base_state,
        state=state_in("bases"),
        code_hash=code_hash("fetch_base"),


def qa_digest(task, encoding, size, split):
    """The digests of one split's files."""
    return f"<results>/qa/{task}/{encoding}/{size}/{split}.sha256"


def base_qa(wildcards):
    """Training questions that a tiny base is pre-trained on (their answers stay unread)."""
    base = CONFIG.bases[wildcards.base]
    return qa_files(base.task, base.encoding, base.size, "train")


def base_labels(wildcards):
    """Which shard each spectrum of the base's task is in."""
    return f"<results>/labels/{CONFIG.bases[wildcards.base].task}.parquet"


def base_digests(wildcards):
    """Digests of the questions and of the labels."""
    base = CONFIG.bases[wildcards.base]
    questions = qa_digest(base.task, base.encoding, base.size, "train")
    return [questions, f"{base_labels(wildcards)}.sha256"]


def base_index(wildcards):
    """Index of the cleaned spectra that the base's task asks about."""
    return f"<results>/spectra/{CONFIG.tasks[CONFIG.bases[wildcards.base].task].view}/index.tsv"


def base_settings(wildcards):
    """What decides a tiny base: its recipe, and the form of questions and answers."""
    base = CONFIG.bases[wildcards.base]
    return leaves(
        base=queries.dump(base),
        task=queries.task_params(CONFIG.tasks[base.task]),
        encoding=queries.dump(CONFIG.encodings[base.encoding]),
        wavelength=task_grid(base.task),
        decimals=queries.decimals(CONFIG),
    )


rule build_base:
    """A tiny Llama for demonstrations, pre-trained without labels on the flux of training stars."""
    input:
        qa=ancient(base_qa),
        labels=ancient(base_labels),
        digests=base_digests,
        index=base_index,
    output:
        "<results>/bases/{base}/manifest.json",
    log:
        "<results>/logs/build_base/{base}.log",
    benchmark:
        "<results>/benchmarks/build_base/{base}.tsv"
    wildcard_constraints:
        base=one_of(language_bases.tiny_bases(CONFIG)),
    priority: AWAITED
    conda:
        ENV
    threads: 1  # its steps are too small to share
    resources:
        mem_mb=grow(6000),
        runtime=grow(60),
    params:
        scripts=scripts_folder,
        settings=base_settings,
        state=state_in("bases"),
        code_hash=code_hash("build_base"),
    shell:
        "python {params.scripts:q}/build_base.py --settings {params.settings:q} --qa {input.qa:q}"
        " --labels {input.labels:q} --index {input.index:q} --code-hash {params.code_hash:q} --state {params.state:q} --threads {threads} --manifest {output:q} 2>&1 | tee {log:q}"


def encoder_index(wildcards):
    """Index of the cleaned spectra of the view that an encoder learns from."""
    return f"<results>/spectra/{CONFIG.bases[wildcards.base].view}/index.tsv"


def encoder_start(wildcards):
    """Manifest of the encoder that another one goes on from, if any."""
    init = CONFIG.bases[wildcards.base].init
    return f"<results>/bases/{init}/manifest.json" if init else []


def base_as_trained(wildcards):
    """Settings of an encoder or aligned pair, with what is read of how it goes on from another one."""
    base = CONFIG.bases[wildcards.base]
    going_on = base.transfer.as_read if base.init and base.transfer else None
    settings = queries.dump(base, exclude={"init", "transfer"})
    return settings | ({"transfer": going_on} if going_on else {})


def encoder_settings(wildcards):
    """What decides an encoder: its settings, its view's recipe, and which stars it may learn from."""
    base = CONFIG.bases[wildcards.base]
    return leaves(
        base=base_as_trained(wildcards),
        recipe=queries.dump(CONFIG.recipe_of(base.view)),
        split=queries.dump(CONFIG.split, exclude={"folds"}),
        seed=CONFIG.seed,
    )


def encoder_gpus(wildcards):
    """GPUs of an encoder's training."""
    return CONFIG.bases[wildcards.base].gpus


def encoder_processes(wildcards):
    """Processes of an encoder's training: one a GPU (workflow/scripts/launch_training.sh)."""
    return max(1, encoder_gpus(wildcards))


rule train_encoder:
    """An encoder of spectra, pre-trained without labels on a view's spectra, those of test stars left out; continues where it was killed."""
    input:
        index=encoder_index,
        start=encoder_start,
    output:
        manifest="<results>/bases/{base}/manifest.json",
        spectra="<results>/bases/{base}/spectra.parquet",
    log:
        "<results>/logs/train_encoder/{base}.log",
    benchmark:
        "<results>/benchmarks/train_encoder/{base}.tsv"
    wildcard_constraints:
        base=one_of(embeddings.encoder_bases(CONFIG)),
    conda:
        ENV
    threads: encoder_processes
    resources:
        mem_mb=grow(32000),
        runtime=1440,  # does not grow: what was learnt is kept, and another attempt goes on where this one ended
        gpu=encoder_gpus,
        tasks_per_gpu=0,  # the launcher starts the processes, Slurm one task
    params:
        scripts=scripts_folder,
        settings=encoder_settings,
        processes=encoder_processes,
        state=state_in("bases"),
        code_hash=code_hash("train_encoder"),
    shell:
        "OMP_NUM_THREADS={threads} {params.scripts:q}/launch_training.sh 1 {params.processes:q} {params.scripts:q}/train_encoder.py"
        " --settings {params.settings:q} --index {input.index:q}"
        " --continues {input.start:q} --code-hash {params.code_hash:q} --state {params.state:q} --manifest {output.manifest:q} 2>&1 | tee {log:q}"
