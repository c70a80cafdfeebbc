"""Predictions: answers read as numbers, and their uncertainties calibrated on validation stars."""


def predicted_size(wildcards):
    """Sample that holds the spectra of a prediction set: a size, less the fold that a variant leaves out."""
    size, _ = queries.set_source(CONFIG, wildcards.task, wildcards.size, wildcards.set)
    if queries.is_sampled(wildcards.set):
        return size
    return variants.sample_name(CONFIG, wildcards.model, size)


def predicted_split(wildcards):
    """Split whose spectra make up a prediction set."""
    return queries.set_source(CONFIG, wildcards.task, wildcards.size, wildcards.set)[1]


def predicted_sample(wildcards):
    """Sample that a prediction set is taken from."""
    return f"<results>/samples/{wildcards.task}/{predicted_size(wildcards)}.parquet"


def predicted_labels(wildcards):
    """True labels of a prediction set: those of the task, or the set's own (see queries.is_sampled)."""
    if queries.is_sampled(wildcards.set):
        return f"<results>/labels/{wildcards.task}/{wildcards.set}.parquet"
    return f"<results>/labels/{wildcards.task}.parquet"


def predicted_qa(wildcards):
    """Questions of a prediction set."""
    encoding = variants.model_of(CONFIG, wildcards.model).encoding
    return qa_files(
        wildcards.task, encoding, predicted_size(wildcards), predicted_split(wildcards)
    )


def predicted_qa_digest(wildcards):
    """Digests of those questions."""
    encoding = variants.model_of(CONFIG, wildcards.model).encoding
    size, split = predicted_size(wildcards), predicted_split(wildcards)
    return qa_digest(wildcards.task, encoding, size, split)


def seen_samples(wildcards):
    """Samples whose training stars the model has seen, its start's and its base's too."""
    return [
        f"<results>/samples/{task}/{size}.parquet"
        for task, size in queries.trained_on(
            CONFIG, wildcards.task, wildcards.model, wildcards.size
        )
    ]


def seen_by_bases(wildcards):
    """Spectra that the bases below the model have seen, in their split, as a sample has them."""
    bases = embeddings.bases_under(CONFIG, wildcards.task, wildcards.model)
    return [f"<results>/bases/{base}/spectra.parquet" for base in bases]


def answering_gpus(wildcards):
    """GPUs of one prediction job: one process answers, however many trained."""
    return min(1, llm_gpus(wildcards))


def answer_settings(wildcards):
    """What decides the reading of answers: decoding, precision, the text's form."""
    model = variants.model_of(CONFIG, wildcards.model)
    return leaves(
        model=queries.dump(
            model, include={"kind", "base", "encoding", "quantisation", "decoding"}
        ),
        task=queries.task_params(CONFIG.tasks[wildcards.task]),
        encoding=queries.dump(CONFIG.encodings[model.encoding]),
        wavelength=task_grid(wildcards.task),
    )


rule predict_llm:
    """Ask the language model; finished blocks are kept, a killed prediction goes on where it stopped."""
    input:
        model="<results>/models/{task}/{model}/{size}/manifest.json",
        base=llm_base,
        qa=ancient(predicted_qa),
        qa_digest=predicted_qa_digest,
        sample=ancient(predicted_sample),
        labels=ancient(predicted_labels),
        seen=ancient(seen_samples),
        digests=digests(predicted_sample, predicted_labels, seen_samples),
    output:
        raw="<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet",
        digest="<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet.sha256",
    log:
        "<results>/logs/predict_llm/{task}/{model}/{size}/{set}.log",
    benchmark:
        "<results>/benchmarks/predict_llm/{task}/{model}/{size}/{set}.tsv"
    wildcard_constraints:
        model=models_among(ALL_LLMS),
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
        code_hash=code_hash("predict_llm"),
    shell:
        "python {params.scripts:q}/predict_llm.py --settings {params.settings:q} --model {input.model:q}"
        " --base {params.base:q} --qa {input.qa:q} --sample {input.sample:q} --split {params.split:q}"
        " --labels {input.labels:q} --seen {input.seen:q} --code-hash {params.code_hash:q} --state {params.state:q}"
        " --threads {threads} --out {output.raw:q} 2>&1 | tee {log:q}"


def predicted_index(wildcards):
    """Index of the folder that holds the spectra of a prediction set."""
    if wildcards.set in ALTERED_SETS:
        return f"<results>/altered/{wildcards.task}/{wildcards.set}/index.tsv"
    if wildcards.set == "own_line":
        return "<results>/own_line/index.tsv"
    return view_index(wildcards)


rule predict_baseline:
    """A baseline's values for a prediction set."""
    input:
        model="<results>/models/{task}/{model}/{size}/manifest.json",
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
        "<results>/logs/predict_baseline/{task}/{model}/{size}/{set}.log",
    benchmark:
        "<results>/benchmarks/predict_baseline/{task}/{model}/{size}/{set}.tsv"
    wildcard_constraints:
        model=models_among(BASELINES),
    conda:
        ENV
    threads: tree_threads
    resources:
        mem_mb=grow(16000),
        runtime=grow(120),
        gpu=baseline_gpus,
    params:
        scripts=scripts_folder,
        script=baseline_script("predict"),
        settings=baseline_settings,
        state=state_in("predict"),
        split=predicted_split,
        code_hash=baseline_code_hash("predict"),
    shell:
        "python {params.scripts:q}/{params.script:q}.py --settings {params.settings:q} --model {input.model:q}"
        " --sample {input.sample:q} --split {params.split:q} --labels {input.labels:q} --seen {input.seen:q} {input.encoded:q}"
        " --index {input.index:q} --code-hash {params.code_hash:q} --state {params.state:q} --out {output.raw:q} 2>&1 | tee {log:q}"


def members_set(wildcards):
    """What the members say of a prediction set."""
    return member_predictions(wildcards, wildcards.set)


rule combine_members:
    """An ensemble's values for a prediction set, from those of its members."""
    input:
        model="<results>/models/{task}/{model}/{size}/manifest.json",
        raw=ancient(members_set),
        digests=digests(members_set),
    output:
        raw="<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet",
        digest="<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet.sha256",
    log:
        "<results>/logs/combine_members/{task}/{model}/{size}/{set}.log",
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
        code_hash=code_hash("combine_members"),
    shell:
        "python {params.scripts:q}/combine_members.py --settings {params.settings:q} --model {input.model:q}"
        " --raw {input.raw:q} --out {output.raw:q} 2>&1 | tee {log:q}"


rule predict_pipeline:
    """The labels of the spectra's own survey for a prediction set."""
    input:
        model="<results>/models/{task}/{model}/{size}/manifest.json",
        sample=ancient(predicted_sample),
        labels=ancient(predicted_labels),
        seen=ancient(seen_samples),
        catalog=ancient(candidates),
        digests=digests(predicted_sample, predicted_labels, seen_samples, candidates),
    output:
        raw="<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet",
        digest="<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet.sha256",
    log:
        "<results>/logs/predict_pipeline/{task}/{model}/{size}/{set}.log",
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
        split=predicted_split,
        code_hash=code_hash("predict_pipeline"),
    shell:
        "python {params.scripts:q}/predict_pipeline.py --settings {params.settings:q} --model {input.model:q}"
        " --sample {input.sample:q} --split {params.split:q} --labels {input.labels:q} --seen {input.seen:q}"
        " --catalog {input.catalog:q} --out {output.raw:q} 2>&1 | tee {log:q}"


rule calibrate:
    """Scale the raw uncertainties so that they hold on validation stars."""
    input:
        raw=ancient("<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet"),
        val=ancient("<results>/predictions/{task}/{model}/{size}/val.raw.parquet"),
        digests=[
            "<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet.sha256",
            "<results>/predictions/{task}/{model}/{size}/val.raw.parquet.sha256",
        ],
    output:
        predictions="<results>/predictions/{task}/{model}/{size}/{set}.parquet",
        digest="<results>/predictions/{task}/{model}/{size}/{set}.parquet.sha256",
        calibration="<results>/predictions/{task}/{model}/{size}/{set}.calibration.json",
    log:
        "<results>/logs/calibrate/{task}/{model}/{size}/{set}.log",
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        code_hash=code_hash("calibrate"),
    shell:
        "python {params.scripts:q}/calibrate.py --settings '{{}}' --raw {input.raw:q} --val {input.val:q}"
        " --out {output.predictions:q} --report {output.calibration:q} 2>&1 | tee {log:q}"


localrules:
    predict,


rule predict:
    """Target: every prediction table of `run:`."""
    input:
        built(
            "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
            set=CONFIG.run.sets,
        ),
