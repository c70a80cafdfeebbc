"""Which stars: labels of the cleaned spectra, the samples drawn from them, and samples without one fold."""


def view_index(wildcards):
    """Index of the cleaned spectra that a task asks about."""
    return f"<results>/spectra/{CONFIG.tasks[wildcards.task].view}/index.tsv"


def candidates(wildcards):
    """The selected catalogue rows behind the spectra that a task asks about."""
    survey = View(CONFIG.tasks[wildcards.task].view).survey
    return f"<results>/catalog/candidates/{survey}.parquet"


def label_match(wildcards):
    """The match that brings a task's labels, when they are not the survey's own."""
    sample = CONFIG.tasks[wildcards.task].sample
    survey = View(sample.view).survey
    if sample.source == survey:
        return []
    return f"<results>/match/{survey}_{sample.source}.parquet"


def label_settings(wildcards):
    """What decides a task's labels."""
    return leaves(task=queries.task_params(CONFIG.tasks[wildcards.task]))


rule collect_labels:
    """The labels of every cleaned spectrum that has any, by task."""
    input:
        index=view_index,
        candidates=ancient(candidates),
        match=ancient(label_match),
        digests=digests(candidates, label_match),
    output:
        labels="<results>/labels/{task}.parquet",
        digest="<results>/labels/{task}.parquet.sha256",
    log:
        "<results>/logs/collect_labels/{task}.log",
    benchmark:
        "<results>/benchmarks/collect_labels/{task}.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(30),
    params:
        scripts=scripts_folder,
        settings=label_settings,
        code_hash=code_hash("collect_labels"),
    shell:
        "python {params.scripts:q}/collect_labels.py --settings {params.settings:q} --index {input.index:q}"
        " --candidates {input.candidates:q} --match {input.match:q} --out {output.labels:q} 2>&1 | tee {log:q}"


def sample_settings(wildcards):
    """What decides a sample: its task's labels, its size, the split and the seed."""
    task = CONFIG.tasks[wildcards.task]
    question = queries.dump(task.question, exclude={"ask_all", "decimals"})
    sample = queries.dump(task.sample)
    sample["sizes"] = {wildcards.size: sample["sizes"][wildcards.size]}
    return leaves(
        task={"question": question, "sample": sample},
        split=queries.dump(CONFIG.split),
        seed=CONFIG.seed,
    )


rule draw_sample:
    """A task's selection of one size: balanced, nested, split by star."""
    input:
        labels=ancient("<results>/labels/{task}.parquet"),
        digests=["<results>/labels/{task}.parquet.sha256"],
    output:
        sample="<results>/samples/{task}/{size}.parquet",
        digest="<results>/samples/{task}/{size}.parquet.sha256",
        manifest="<results>/samples/{task}/{size}.json",
    log:
        "<results>/logs/draw_sample/{task}/{size}.log",
    benchmark:
        "<results>/benchmarks/draw_sample/{task}/{size}.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        settings=sample_settings,
        code_hash=code_hash("draw_sample"),
    shell:
        "python {params.scripts:q}/draw_sample.py --settings {params.settings:q} --labels {input.labels:q}"
        " --size {wildcards.size:q} --out {output.sample:q} --manifest {output.manifest:q} 2>&1 | tee {log:q}"


rule leave_out_fold:
    """A sample with the stars of one fold as its test split: what models named `<model>.f<fold>` learn from."""
    input:
        sample=ancient("<results>/samples/{task}/{size}.parquet"),
        digest="<results>/samples/{task}/{size}.parquet.sha256",
    output:
        sample="<results>/samples/{task}/{size}.f{fold}.parquet",
        digest="<results>/samples/{task}/{size}.f{fold}.parquet.sha256",
    log:
        "<results>/logs/leave_out_fold/{task}/{size}.f{fold}.log",
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        code_hash=code_hash("leave_out_fold"),
    shell:
        "python {params.scripts:q}/leave_out_fold.py --settings '{{}}' --sample {input.sample:q} --fold {wildcards.fold:q}"
        " --out {output.sample:q} 2>&1 | tee {log:q}"


localrules:
    samples,


rule samples:
    """Target: every sample of `run:`."""
    input:
        RUN_SAMPLES,
