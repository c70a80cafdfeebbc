"""Patch tokens: language models that read cleaned spectra through a projector, and the random base of demonstrations."""

from starglot.config.bases.outside import base_slug
from starglot.config.replay import lines_from, replayed_from


def random_base_settings(wildcards):
    """What decides a random base."""
    return leaves(base=queries.dump(CONFIG.bases[wildcards.base]))


rule make_random_base:
    """A tiny Llama with random weights; nothing is trained."""
    output:
        "<results>/bases/{base}/manifest.json",
    log:
        "<results>/logs/make_random_base/{base}.log",
    wildcard_constraints:
        base=one_of(language_bases.random_bases(CONFIG)),
    conda:
        ENV
    resources:
        mem_mb=grow(2000),
        runtime=grow(10),
    params:
        scripts=scripts_folder,
        settings=random_base_settings,
        code_hash=code_hash("make_random_base"),
    shell:
        "python {params.scripts:q}/make_random_base.py --settings {params.settings:q} --manifest {output:q}"
        " 2>&1 | tee {log:q}"


def like_base_source(wildcards):
    """What was found of the base in whose shape another one is made."""
    base = CONFIG.bases[wildcards.base]
    return f"<results>/bases/{base_slug(base.base, base.revision)}.json"


def like_base_settings(wildcards):
    """What decides such a base; the revision is found in its source."""
    base = CONFIG.bases[wildcards.base]
    return leaves(base=queries.dump(base, exclude={"revision"}))


rule make_like_base:
    """A base in the shape of another one: a control with other weights, or its first layers; nothing is trained."""
    input:
        like_base_source,
    output:
        "<results>/bases/{base}/manifest.json",
    log:
        "<results>/logs/make_like_base/{base}.log",
    wildcard_constraints:
        base=one_of(language_bases.like_bases(CONFIG)),
    conda:
        ENV
    resources:
        mem_mb=grow(64000),
        runtime=grow(60),
    params:
        scripts=scripts_folder,
        settings=like_base_settings,
        state=state_in("bases"),
        code_hash=code_hash("make_like_base"),
    shell:
        "python {params.scripts:q}/make_like_base.py --settings {params.settings:q} --found {input:q}"
        " --state {params.state:q} --manifest {output:q} 2>&1 | tee {log:q}"


def patch_base_index(wildcards):
    """Index of the cleaned spectra of the view whose patches a base learns to fill in."""
    return f"<results>/spectra/{CONFIG.bases[wildcards.base].view}/index.tsv"


def patch_base_start(wildcards):
    """What says which language model such a base goes on from."""
    return base_below(CONFIG.bases[wildcards.base])


def patch_base_start_name(wildcards):
    """That language model as the script loads it."""
    return base_below_name(CONFIG.bases[wildcards.base])


def patch_base_settings(wildcards):
    """What decides such a base: its settings and encoding, its view's grid, and which stars it may learn from."""
    base = CONFIG.bases[wildcards.base]
    return leaves(
        base=queries.dump(base, exclude={"revision"}),
        encoding=queries.dump(CONFIG.encodings[base.encoding]),
        wavelength=queries.dump(CONFIG.recipe_of(base.view).wavelength),
        split=queries.dump(CONFIG.split, exclude={"folds"}),
        seed=CONFIG.seed,
    )


rule train_masked_patches:
    """A language model and its projector, taught without labels to fill in hidden patches, test stars left out; continues where it was killed."""
    input:
        index=patch_base_index,
        base=patch_base_start,
    output:
        manifest="<results>/bases/{base}/manifest.json",
        spectra="<results>/bases/{base}/spectra.parquet",
    log:
        "<results>/logs/train_masked_patches/{base}.log",
    benchmark:
        "<results>/benchmarks/train_masked_patches/{base}.tsv"
    wildcard_constraints:
        base=one_of(language_bases.patch_bases(CONFIG)),
    priority: AWAITED
    conda:
        ENV
    threads: encoder_processes
    resources:
        mem_mb=grow(64000),  # the host holds the weights of each process once, at loading
        runtime=1440,  # does not grow: what was learnt is kept, and another attempt goes on where this one ended
        gpu=encoder_gpus,
        tasks_per_gpu=0,  # the launcher starts the processes, Slurm one task
    params:
        scripts=scripts_folder,
        settings=patch_base_settings,
        processes=encoder_processes,
        base=patch_base_start_name,
        state=state_in("bases"),
        code_hash=code_hash("train_masked_patches"),
    shell:
        "OMP_NUM_THREADS={threads} {params.scripts:q}/launch_training.sh 1 {params.processes:q}"
        " {params.scripts:q}/train_masked_patches.py --settings {params.settings:q} --index {input.index:q}"
        " --base {params.base:q} --found {input.base:q} --code-hash {params.code_hash:q} --state {params.state:q}"
        " --manifest {output.manifest:q} 2>&1 | tee {log:q}"


def token_qa_settings(wildcards):
    """What decides questions and answers: the task's form, the grid's range and the number of files."""
    return leaves(
        task=queries.task_params(CONFIG.tasks[wildcards.task], training=True),
        wavelength=task_grid(wildcards.task),
        files=CONFIG.qa.files,
        seed=CONFIG.seed,
    )


rule write_token_qa:
    """One sample as question-and-answer files with a place for the spectrum's tokens."""
    input:
        sample=ancient("<results>/samples/{task}/{size}.parquet"),
        labels=ancient("<results>/labels/{task}.parquet"),
        digests=[
            "<results>/samples/{task}/{size}.parquet.sha256",
            "<results>/labels/{task}.parquet.sha256",
        ],
    output:
        [
            f"<results>/qa/{{task}}/{{encoding}}/{{size}}/{split}.sha256"
            for split in CONFIG.qa.files
        ],
        [
            f"<results>/qa/{{task}}/{{encoding}}/{{size}}/{split}-{part:04d}.jsonl.gz"
            for split, count in CONFIG.qa.files.items()
            for part in range(count)
        ],
    log:
        "<results>/logs/write_token_qa/{task}/{encoding}/{size}.log",
    wildcard_constraints:
        size=SAMPLE,
        encoding=TOKEN_ENCODING,
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(60),
    params:
        scripts=scripts_folder,
        settings=token_qa_settings,
        out=f"{CONFIG.results}/qa/{{task}}/{{encoding}}/{{size}}",
        code_hash=code_hash("write_token_qa"),
    shell:
        "python {params.scripts:q}/write_token_qa.py --settings {params.settings:q} --sample {input.sample:q}"
        " --labels {input.labels:q} --out {params.out:q} 2>&1 | tee {log:q}"


def replayed(wildcards):
    """Sample and labels of what a model starts from, where its training goes back to them."""
    start = replayed_from(CONFIG, wildcards.task, wildcards.model, wildcards.size)
    if start is None:
        return []
    task, model, size = start
    sample = variants.sample_name(CONFIG, model, size)
    return [
        f"<results>/samples/{task}/{sample}.parquet",
        f"<results>/labels/{task}.parquet",
    ]


def replayed_index(wildcards):
    """Index of the cleaned spectra of that sample."""
    start = replayed_from(CONFIG, wildcards.task, wildcards.model, wildcards.size)
    return f"<results>/spectra/{CONFIG.tasks[start[0]].view}/index.tsv" if start else []


def lines_learnt(wildcards):
    """Sample and labels of the synthetic spectra that teach estimates the elements' lines."""
    source = lines_from(CONFIG, wildcards.task, wildcards.model, wildcards.size)
    if source is None:
        return []
    task, size = source
    return [
        f"<results>/samples/{task}/{size}.parquet",
        f"<results>/labels/{task}.parquet",
    ]


def lines_index(wildcards):
    """Index of the cleaned spectra of that sample."""
    source = lines_from(CONFIG, wildcards.task, wildcards.model, wildcards.size)
    return (
        f"<results>/spectra/{CONFIG.tasks[source[0]].view}/index.tsv" if source else []
    )


rule train_patches:
    """Adapters and projector; continues from its last good checkpoint, hands finished work back from the state folder."""
    input:
        sample=ancient(trained_sample),
        labels=ancient("<results>/labels/{task}.parquet"),
        digests=digests(
            trained_sample, "<results>/labels/{task}.parquet", replayed, lines_learnt
        ),
        index=view_index,
        base=llm_base,
        start=model_start,
        rehearsed=ancient(rehearsed),
        replayed=ancient(replayed),
        replayed_index=replayed_index,
        lines=ancient(lines_learnt),
        lines_index=lines_index,
        encoder=embedding_base,
    output:
        "<results>/models/{task}/{model}/{size}/manifest.json",
    log:
        "<results>/logs/train_patches/{task}/{model}/{size}.log",
    benchmark:
        "<results>/benchmarks/train_patches/{task}/{model}/{size}.tsv"
    wildcard_constraints:
        model=models_among(PATCH_LLMS),
    priority: AWAITED
    conda:
        ENV
    threads: llm_threads
    resources:
        mem_mb=grow(64000),  # the host holds the weights of each process once, at loading
        runtime=1440,  # does not grow: a training that needs longer comes back by itself, from its checkpoint
        gpu=llm_gpus,
        nodes=llm_nodes,
        mpi=over_nodes("srun"),
        tasks=over_nodes("nodes"),
        tasks_per_gpu=0,
        slurm_extra=llm_slurm,
    params:
        scripts=scripts_folder,
        settings=llm_settings,
        processes=llm_processes,
        base=llm_base_name,
        state=state_in("train"),
        code_hash=code_hash("train_patches"),
    shell:
        "OMP_NUM_THREADS={threads} {params.scripts:q}/launch_training.sh {params.processes:q}"
        " {params.scripts:q}/train_patches.py --settings {params.settings:q} --size {wildcards.size:q}"
        " --sample {input.sample:q} --labels {input.labels:q} --index {input.index:q} --base {params.base:q}"
        " --found {input.base:q} --continues {input.start:q} --replayed {input.replayed:q} {input.replayed_index:q}"
        " --lines {input.lines:q} {input.lines_index:q} --encoder {input.encoder:q}"
        " --code-hash {params.code_hash:q} --state {params.state:q}"
        " --threads {threads} --manifest {output:q} 2>&1 | tee {log:q}"


rule predict_patches:
    """Ask a model that reads patch tokens; finished blocks are kept, a killed prediction goes on where it stopped."""
    input:
        model="<results>/models/{task}/{model}/{size}/manifest.json",
        base=llm_base,
        sample=ancient(predicted_sample),
        labels=ancient(predicted_labels),
        seen=ancient(seen_samples),
        encoded=ancient(seen_by_bases),  # the model changes when these do
        digests=digests(predicted_sample, predicted_labels, seen_samples),
        index=predicted_index,
    output:
        raw="<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet",
        digest="<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet.sha256",
    log:
        "<results>/logs/predict_patches/{task}/{model}/{size}/{set}.log",
    benchmark:
        "<results>/benchmarks/predict_patches/{task}/{model}/{size}/{set}.tsv"
    wildcard_constraints:
        model=models_among(PATCH_LLMS),
    priority: AWAITED
    conda:
        ENV
    threads: llm_threads
    resources:
        mem_mb=grow(32000),
        runtime=grow(720),  # finished blocks are kept
        gpu=answering_gpus,
    params:
        scripts=scripts_folder,
        settings=answer_settings,
        base=llm_base_name,
        split=predicted_split,
        state=state_in("predict"),
        code_hash=code_hash("predict_patches"),
    shell:
        "python {params.scripts:q}/predict_patches.py --settings {params.settings:q} --model {input.model:q}"
        " --base {params.base:q} --sample {input.sample:q} --split {params.split:q} --labels {input.labels:q}"
        " --index {input.index:q} --seen {input.seen:q} {input.encoded:q} --code-hash {params.code_hash:q} --state {params.state:q}"
        " --threads {threads} --out {output.raw:q} 2>&1 | tee {log:q}"
