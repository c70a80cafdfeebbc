"""Predictions: answers read as numbers, and their uncertainties calibrated on validation stars."""


def predicted_size(wildcards):
    """Size whose sample holds the spectra of a prediction set."""
    return derive.set_source(CONFIG, wildcards.task, wildcards.size, wildcards.set)[0]


def predicted_split(wildcards):
    """Split whose spectra make up a prediction set."""
    return derive.set_source(CONFIG, wildcards.task, wildcards.size, wildcards.set)[1]


def predicted_sample(wildcards):
    """Sample that a prediction set is taken from."""
    return f"<results>/samples/{wildcards.task}/{predicted_size(wildcards)}.parquet"


def predicted_qa(wildcards):
    """Questions of a prediction set."""
    encoding = CONFIG.models[wildcards.model].encoding
    return qa_files(
        wildcards.task, encoding, predicted_size(wildcards), predicted_split(wildcards)
    )


def seen_samples(wildcards):
    """Samples whose training stars the model has seen, its start's and its base's too."""
    return [
        f"<results>/samples/{task}/{size}.parquet"
        for task, size in derive.trained_on(
            CONFIG, wildcards.task, wildcards.model, wildcards.size
        )
    ]


def answer_settings(wildcards):
    """What decides the reading of answers: decoding, precision, the text's form."""
    model = CONFIG.models[wildcards.model]
    return leaves(
        model=derive.dump(
            model, include={"kind", "base", "encoding", "quantisation", "decoding"}
        ),
        task=derive.asked(CONFIG.tasks[wildcards.task]),
        encoding=derive.dump(CONFIG.encodings[model.encoding]),
        wavelength=derive.dump(CONFIG.spectra.wavelength),
    )


rule predict_llm:
    """Ask the language model; finished blocks are kept, a killed prediction goes on where it stopped."""
    input:
        model="<results>/models/{task}/{model}/{size}/manifest.json",
        qa=predicted_qa,
        sample=predicted_sample,
        labels="<results>/labels/{task}.parquet",
        seen=seen_samples,
    output:
        "<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet",
    log:
        "<results>/logs/predict_llm/{task}/{model}/{size}/{set}.log",
    benchmark:
        "<results>/benchmarks/predict_llm/{task}/{model}/{size}/{set}.tsv"
    wildcard_constraints:
        model=one_of(ALL_LLMS),
    conda:
        ENV
    threads: 16
    resources:
        mem_mb=grow(16000),
        runtime=grow(720),
        gpu=llm_gpus,
    params:
        settings=answer_settings,
        base=llm_base_name,
        split=predicted_split,
        state=f"{CONFIG.state_dir}/predict",
        code=code("predict_llm"),
    shell:
        "python workflow/scripts/predict_llm.py --settings {params.settings:q} --model {input.model:q}"
        " --base {params.base:q} --qa {input.qa:q} --sample {input.sample:q} --split {params.split}"
        " --labels {input.labels:q} --seen {input.seen:q} --code {params.code} --state {params.state:q}"
        " --threads {threads} --out {output:q} 2>&1 | tee {log}"


rule predict_baseline:
    """A baseline's values for a prediction set."""
    input:
        model="<results>/models/{task}/{model}/{size}/manifest.json",
        sample=predicted_sample,
        labels="<results>/labels/{task}.parquet",
        seen=seen_samples,
        spectra=all_spectra,
    output:
        "<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet",
    log:
        "<results>/logs/predict_baseline/{task}/{model}/{size}/{set}.log",
    benchmark:
        "<results>/benchmarks/predict_baseline/{task}/{model}/{size}/{set}.tsv"
    wildcard_constraints:
        model=one_of(BASELINES),
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(60),
    params:
        settings=baseline_settings,
        split=predicted_split,
        spectra=f"{CONFIG.results}/spectra",
        code=code("predict_baseline"),
    shell:
        "python workflow/scripts/predict_baseline.py --settings {params.settings:q} --model {input.model:q}"
        " --sample {input.sample:q} --split {params.split} --labels {input.labels:q} --seen {input.seen:q}"
        " --spectra {params.spectra:q} --out {output:q} 2>&1 | tee {log}"


rule calibrate:
    """Scale the raw uncertainties so that they hold on validation stars."""
    input:
        raw="<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet",
        val="<results>/predictions/{task}/{model}/{size}/val.raw.parquet",
    output:
        predictions="<results>/predictions/{task}/{model}/{size}/{set}.parquet",
        calibration="<results>/predictions/{task}/{model}/{size}/{set}.calibration.json",
    log:
        "<results>/logs/calibrate/{task}/{model}/{size}/{set}.log",
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(20),
    params:
        code=code("calibrate"),
    shell:
        "python workflow/scripts/calibrate.py --settings '{{}}' --raw {input.raw:q} --val {input.val:q}"
        " --out {output.predictions:q} --report {output.calibration:q} 2>&1 | tee {log}"


localrules:
    predict,


rule predict:
    """Target: every prediction table of `run:`."""
    input:
        built(
            "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
            set=CONFIG.run.sets,
        ),
