"""Predictions: answers read as numbers, and their uncertainties calibrated on validation stars."""


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
    threads: answering_threads
    resources:
        mem_mb=grow(16000),
        runtime=grow(720),
        gpu=answering_gpus,
    params:
        scripts=scripts_folder,
        settings=answer_settings,
        base=llm_base_name,
        split=predicted_split,
        state=kept_in("predict"),
        code=code("predict_llm"),
    shell:
        "python {params.scripts:q}/predict_llm.py --settings {params.settings:q} --model {input.model:q}"
        " --base {params.base:q} --qa {input.qa:q} --sample {input.sample:q} --split {params.split:q}"
        " --labels {input.labels:q} --seen {input.seen:q} --code {params.code:q} --state {params.state:q}"
        " --threads {threads} --out {output.raw:q} 2>&1 | tee {log:q}"


rule predict_baseline:
    """A baseline's values for a prediction set."""
    input:
        model="<results>/models/{task}/{model}/{size}/manifest.json",
        sample=ancient(predicted_sample),
        labels=ancient(predicted_labels),
        seen=ancient(seen_samples),
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
        mem_mb=grow(8000),
        runtime=grow(120),
        gpu=baseline_gpus,
    params:
        scripts=scripts_folder,
        script=baseline_script("predict"),
        settings=baseline_settings,
        state=kept_in("predict"),
        split=predicted_split,
        code=baseline_code("predict"),
    shell:
        "python {params.scripts:q}/{params.script:q}.py --settings {params.settings:q} --model {input.model:q}"
        " --sample {input.sample:q} --split {params.split:q} --labels {input.labels:q} --seen {input.seen:q}"
        " --index {input.index:q} --code {params.code:q} --state {params.state:q} --out {output.raw:q} 2>&1 | tee {log:q}"


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
        code=code("combine_members"),
    shell:
        "python {params.scripts:q}/combine_members.py --settings {params.settings:q} --model {input.model:q}"
        " --raw {input.raw:q} --out {output.raw:q} 2>&1 | tee {log:q}"


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
        code=code("calibrate"),
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
