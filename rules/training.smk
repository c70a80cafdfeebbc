"""Training: QLoRA adapters of both stages, baselines and ensembles."""

from starglot.config.bases.outside import base_slug
from starglot.config.kinds.registry import FAMILIES, KINDS
from starglot.config.starts import fitting_start


def trained_sample_name(wildcards):
    """The sample that a model is trained on: of its size, less the fold that a variant leaves out."""
    return variants.sample_name(CONFIG, wildcards.model, wildcards.size)


def llm_qa(wildcards, split):
    """One split's questions and answers in the model's own encoding."""
    encoding = variants.model_of(CONFIG, wildcards.model).encoding
    return qa_files(wildcards.task, encoding, trained_sample_name(wildcards), split)


def llm_train_qa(wildcards):
    """Training questions of the model."""
    return llm_qa(wildcards, "train")


def llm_val_qa(wildcards):
    """Validation questions of the model."""
    return llm_qa(wildcards, "val")


def llm_digests(wildcards):
    """Digests of the training and the validation questions, and of the labels."""
    encoding = variants.model_of(CONFIG, wildcards.model).encoding
    return [
        qa_digest(wildcards.task, encoding, trained_sample_name(wildcards), split)
        for split in ("train", "val")
    ] + [f"<results>/labels/{wildcards.task}.parquet.sha256"]


def base_below(above):
    """What says which base a model, or a base, goes on from: the manifest of one made by this workflow, or what was
    found of one from outside."""
    if above.base in CONFIG.bases:
        return f"<results>/bases/{above.base}/manifest.json"
    return f"<results>/bases/{base_slug(above.base, above.revision)}.json"


def base_below_name(above):
    """That base as scripts load it: a folder or a Hugging Face id."""
    made = above.base in CONFIG.bases
    return f"{CONFIG.results}/bases/{above.base}" if made else above.base


def llm_base(wildcards):
    """What says which base a model stands on."""
    return base_below(variants.model_of(CONFIG, wildcards.model))


def llm_base_name(wildcards):
    """That base as scripts load it."""
    return base_below_name(variants.model_of(CONFIG, wildcards.model))


def model_start(wildcards):
    """Manifest of the trained model that training starts from, if any."""
    start = fitting_start(CONFIG, wildcards.task, wildcards.model)
    return "<results>/models/{}/{}/{}/manifest.json".format(*start) if start else []


def how_it_goes_on(wildcards):
    """Key and value of a model's `transfer`, where it starts from a trained one: that one's manifest is an input."""
    going_on = queries.going_on(CONFIG, wildcards.task, wildcards.model)
    return {"transfer": going_on} if going_on else {}


def rehearsed(wildcards):
    """The ordinary text among the spectra of a training, if any: its content counts, not its age."""
    rehearsal = variants.model_at(
        CONFIG, wildcards.model, wildcards.size
    ).training.rehearsal
    return rehearsal.file if rehearsal else []


def rehearsed_digest(wildcards):
    """Key and digest of that text, where there is any."""
    path = rehearsed(wildcards)
    return {"rehearsed": FINGERPRINTS.of(path)} if path else {}


def embedding_base(wildcards):
    """Manifest of the base whose embeddings a model reads, if any."""
    base = embeddings.embedding_base(CONFIG, wildcards.model)
    return f"<results>/bases/{base}/manifest.json" if base else []


def embedding_side(wildcards):
    """Key and view of the side of an aligned pair that embeds spectra for a model; {} for any other."""
    view = embeddings.embedding_view(CONFIG, wildcards.task, wildcards.model)
    return {"view": view} if view else {}


def llm_settings(wildcards):
    """What decides an adapter: the model without its decoding, the text's form, the grid, an encoder's side.

    Not the revision that its base is pinned to: the commit that was found is what counts.
    """
    model = variants.model_at(CONFIG, wildcards.model, wildcards.size)
    return leaves(
        model={
            **queries.dump(model, exclude={"decoding", "init", "transfer", "revision"}),
            **how_it_goes_on(wildcards),
        },
        task=queries.task_params(CONFIG.tasks[wildcards.task]),
        encoding=queries.dump(CONFIG.encodings[model.encoding]),
        wavelength=task_grid(wildcards.task),
        **rehearsed_digest(wildcards),
        **embedding_side(wildcards),
    )


def llm_training(wildcards):
    """How the model is trained: its GPUs and nodes are asked for by the rule."""
    return variants.model_at(CONFIG, wildcards.model, wildcards.size).training


def llm_gpus(wildcards):
    """GPUs of one training job, over all its nodes."""
    return llm_training(wildcards).gpus


def llm_nodes(wildcards):
    """Nodes of one training job."""
    return llm_training(wildcards).nodes


def over_nodes(value):
    """A resource of trainings over several nodes, which the others do without; `nodes` stands for their number."""

    def asked(wildcards):
        nodes = llm_nodes(wildcards)
        return (nodes if value == "nodes" else value) if nodes > 1 else None

    return asked


def llm_slurm(wildcards):
    """What Slurm is asked besides: a signal ten minutes before the limit, and to take the job back then.

    The signal is that of starglot.training.time_limit; a job that comes back writes on in its log.
    """
    asked = "--requeue --open-mode=append --signal=URG@600"
    return f"{asked} --ntasks-per-node=1" if llm_nodes(wildcards) > 1 else asked


def llm_processes(wildcards):
    """Nodes of a training, and processes on each: one a GPU (workflow/scripts/launch_training.sh)."""
    training = llm_training(wildcards)
    return [training.nodes, training.processes // training.nodes]


def llm_threads(wildcards):
    """Threads of a language model's job: a tiny base's steps are too small to share, so its jobs go side by side.

    With two, each spends much of its time waiting for the other: a training of the demo took 95 seconds of processor
    time, and 73 with one, for the same weights, bit for bit.
    """
    base = variants.model_of(CONFIG, wildcards.model).base
    return 1 if language_bases.is_tiny(CONFIG, base) else 16


rule train_llm:
    """QLoRA fine-tuning; continues from its last good checkpoint, hands finished work back from the state folder."""
    input:
        train=ancient(llm_train_qa),
        val=ancient(llm_val_qa),
        labels=ancient("<results>/labels/{task}.parquet"),
        digests=llm_digests,
        index=view_index,
        base=llm_base,
        start=model_start,
        rehearsed=ancient(rehearsed),
    output:
        "<results>/models/{task}/{model}/{size}/manifest.json",
    log:
        "<results>/logs/train_llm/{task}/{model}/{size}.log",
    benchmark:
        "<results>/benchmarks/train_llm/{task}/{model}/{size}.tsv"
    wildcard_constraints:
        model=models_among(ALL_LLMS),
    priority: AWAITED
    conda:
        ENV
    threads: llm_threads
    resources:
        mem_mb=grow(64000),  # the host holds the weights of each process once, at loading
        runtime=1440,  # does not grow: a training that needs longer comes back by itself, from its checkpoint
        gpu=llm_gpus,
        nodes=llm_nodes,
        mpi=over_nodes("srun"),  # the launcher starts its own job step on every node
        tasks=over_nodes("nodes"),
        tasks_per_gpu=0,  # the launcher starts the processes, Slurm one task a node
        slurm_extra=llm_slurm,
    params:
        scripts=scripts_folder,
        settings=llm_settings,
        processes=llm_processes,
        base=llm_base_name,
        state=state_in("train"),
        code_hash=code_hash("train_llm"),
    shell:
        "OMP_NUM_THREADS={threads} {params.scripts:q}/launch_training.sh {params.processes:q} {params.scripts:q}/train_llm.py"
        " --settings {params.settings:q} --size {wildcards.size:q}"
        " --train {input.train:q} --val {input.val:q} --labels {input.labels:q} --index {input.index:q}"
        " --base {params.base:q} --found {input.base:q}"
        " --continues {input.start:q} --code-hash {params.code_hash:q} --state {params.state:q} --threads {threads}"
        " --manifest {output:q} 2>&1 | tee {log:q}"


def trained_sample(wildcards):
    """The file of :func:`trained_sample_name`."""
    return (
        f"<results>/samples/{wildcards.task}/{trained_sample_name(wildcards)}.parquet"
    )


def settings_of_baseline(wildcards, going_on, **further):
    """A baseline's own settings at this size with how it goes on from another, and which labels it learns."""
    model = variants.model_at(CONFIG, wildcards.model, wildcards.size)
    return leaves(
        **further,
        model={**queries.dump(model, exclude={"init", "transfer"}), **going_on},
        task=queries.grouped_task_params(CONFIG.tasks[wildcards.task]),
    )


def baseline_training(wildcards):
    """What decides the training of a baseline; with an aligned base, also which of its views."""
    going_on = how_it_goes_on(wildcards)
    return settings_of_baseline(wildcards, going_on, **embedding_side(wildcards))


def baseline_settings(wildcards):
    """What decides the answers of a trained baseline."""
    return settings_of_baseline(wildcards, {})


def baseline_gpus(wildcards):
    """GPUs of a baseline's jobs."""
    return getattr(variants.model_of(CONFIG, wildcards.model), "gpus", 0)


def family_name(wildcards):
    """The family of a model, after which its scripts are named."""
    return KINDS[variants.model_of(CONFIG, wildcards.model).kind].family


def baseline_script(step):
    """The script that trains or predicts with a baseline's family, so that each job's code is its own family's."""

    def script(wildcards):
        return f"{step}_{family_name(wildcards)}"

    return script


def baseline_code_hash(step):
    """Hash of the code of :func:`baseline_script`."""
    families = [name for name, it in FAMILIES.items() if it.needs == "spectra"]
    codes = {name: code_hash(f"{step}_{name}") for name in families}

    def hashed(wildcards):
        return codes[family_name(wildcards)](wildcards)

    return hashed


def tree_threads(wildcards):
    """Trees are grown on many cores; all else takes one, so that its sums do not depend on how many there are."""
    return most_cores(16)(wildcards) if family_name(wildcards) == "trees" else 1


rule train_baseline:
    """A baseline on the same sample and split; networks and trees continue where they were killed."""
    input:
        sample=ancient(trained_sample),
        labels=ancient("<results>/labels/{task}.parquet"),
        digests=digests(trained_sample, "<results>/labels/{task}.parquet"),
        start=model_start,
        base=embedding_base,
        index=view_index,
    output:
        "<results>/models/{task}/{model}/{size}/manifest.json",
    log:
        "<results>/logs/train_baseline/{task}/{model}/{size}.log",
    benchmark:
        "<results>/benchmarks/train_baseline/{task}/{model}/{size}.tsv"
    wildcard_constraints:
        model=models_among(BASELINES),
    conda:
        ENV
    threads: tree_threads
    resources:
        mem_mb=grow(32000),
        runtime=grow(240),  # what was learnt is kept: another attempt goes on where this one ended
        gpu=baseline_gpus,
    params:
        scripts=scripts_folder,
        script=baseline_script("train"),
        settings=baseline_training,
        state=state_in("baselines"),
        code_hash=baseline_code_hash("train"),
    shell:
        "python {params.scripts:q}/{params.script:q}.py --settings {params.settings:q} --sample {input.sample:q}"
        " --labels {input.labels:q} --index {input.index:q} --continues {input.start:q} --base {input.base:q}"
        " --code-hash {params.code_hash:q} --state {params.state:q} --manifest {output:q} 2>&1 | tee {log:q}"


def member_predictions(wildcards, name):
    """The raw predictions of an ensemble's members for one set, in the members' order."""
    return expand(
        "<results>/predictions/{task}/{member}/{size}/{set}.raw.parquet",
        task=wildcards.task,
        member=variants.model_of(CONFIG, wildcards.model).members,
        size=wildcards.size,
        set=name,
    )


def members_val(wildcards):
    """What the members say of validation stars."""
    return member_predictions(wildcards, "val")


rule fit_ensemble:
    """Weights of an ensemble's members, by label, from their predictions of validation stars."""
    input:
        val=ancient(members_val),
        digests=digests(members_val),
    output:
        "<results>/models/{task}/{model}/{size}/manifest.json",
    log:
        "<results>/logs/fit_ensemble/{task}/{model}/{size}.log",
    wildcard_constraints:
        model=models_among(ENSEMBLES),
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        settings=baseline_settings,
        code_hash=code_hash("fit_ensemble"),
    shell:
        "python {params.scripts:q}/fit_ensemble.py --settings {params.settings:q} --val {input.val:q}"
        " --manifest {output:q} 2>&1 | tee {log:q}"


rule fit_pipeline:
    """Lines from the labels of the spectra's own survey to those of the task."""
    input:
        sample=ancient(trained_sample),
        labels=ancient("<results>/labels/{task}.parquet"),
        catalog=ancient(candidates),
        digests=digests(trained_sample, "<results>/labels/{task}.parquet", candidates),
    output:
        "<results>/models/{task}/{model}/{size}/manifest.json",
    log:
        "<results>/logs/fit_pipeline/{task}/{model}/{size}.log",
    wildcard_constraints:
        model=models_among(PIPELINES),
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        settings=baseline_settings,
        code_hash=code_hash("fit_pipeline"),
    shell:
        "python {params.scripts:q}/fit_pipeline.py --settings {params.settings:q} --sample {input.sample:q}"
        " --labels {input.labels:q} --catalog {input.catalog:q} --manifest {output:q} 2>&1 | tee {log:q}"


localrules:
    train,


rule train:
    """Target: every model of `run:`."""
    input:
        built("<results>/models/{task}/{model}/{size}/manifest.json"),
