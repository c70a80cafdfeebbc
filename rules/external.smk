"""External surveys: spectra of stars that they have measured, as prediction sets of their own; spectra held out."""


def external_match(wildcards):
    """The match of the survey that a task's spectra are of with one that it is judged against, or what it holds out."""
    survey = View(CONFIG.tasks[wildcards.task].view).survey
    return f"<results>/match/{survey}_{wildcards.survey}.parquet"


rule collect_external_labels:
    """A survey's labels of the cleaned spectra, after its cuts and flags; labels that it lacks are null."""
    input:
        index=view_index,
        candidates=ancient(candidates),
        match=ancient(external_match),
        digests=digests(candidates, external_match),
    output:
        labels="<results>/labels/{task}/{survey}.parquet",
        digest="<results>/labels/{task}/{survey}.parquet.sha256",
    log:
        "<results>/logs/collect_external_labels/{task}/{survey}.log",
    benchmark:
        "<results>/benchmarks/collect_external_labels/{task}/{survey}.tsv"
    wildcard_constraints:
        survey=EXTERNAL,
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
        " --candidates {input.candidates:q} --match {input.match:q} --external {wildcards.survey:q}"
        " --out {output.labels:q} 2>&1 | tee {log:q}"


def external_sample_settings(wildcards):
    """What decides the spectra of an external survey: how many, and whether they are told apart by class.

    Of those that are held out, all.
    """
    held_out = wildcards.survey == queries.HELD_OUT
    return leaves(
        limit=None if held_out else CONFIG.run.validation_limit,
        split=queries.dump(CONFIG.split),
        seed=CONFIG.seed,
        by_class=CONFIG.tasks[wildcards.task].sample.by_class,
    )


rule draw_external:
    """The spectra that are predicted for a survey, stars outside training first."""
    input:
        labels=ancient("<results>/labels/{task}/{survey}.parquet"),
        digests=digests("<results>/labels/{task}/{survey}.parquet"),
    output:
        sample="<results>/samples/{task}/{survey}.parquet",
        digest="<results>/samples/{task}/{survey}.parquet.sha256",
        manifest="<results>/samples/{task}/{survey}.json",
    log:
        "<results>/logs/draw_external/{task}/{survey}.log",
    wildcard_constraints:
        survey=EXTERNAL,
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        settings=external_sample_settings,
        code_hash=code_hash("draw_external"),
    shell:
        "python {params.scripts:q}/draw_external.py --settings {params.settings:q} --labels {input.labels:q}"
        " --survey {wildcards.survey:q} --out {output.sample:q} --manifest {output.manifest:q} 2>&1 | tee {log:q}"


def external_qa_settings(wildcards):
    """What decides the text of a prediction set: as in qa_settings, one split of the set's name."""
    return leaves(
        task=queries.task_params(CONFIG.tasks[wildcards.task]),
        encoding=queries.dump(CONFIG.encodings[wildcards.encoding]),
        wavelength=task_grid(wildcards.task),
        files={wildcards.set: CONFIG.qa.files["test"]},
        seed=CONFIG.seed,
    )


rule write_external_qa:
    """The survey's spectra as questions; every question names all labels."""
    input:
        sample=ancient("<results>/samples/{task}/{set}.parquet"),
        labels=ancient("<results>/labels/{task}/{set}.parquet"),
        digests=digests(
            "<results>/samples/{task}/{set}.parquet",
            "<results>/labels/{task}/{set}.parquet",
        ),
        index=view_index,
    output:
        "<results>/qa/{task}/{encoding}/{set}/{set}.sha256",
        [
            f"<results>/qa/{{task}}/{{encoding}}/{{set}}/{{set}}-{part:04d}.jsonl.gz"
            for part in range(CONFIG.qa.files["test"])
        ],
    log:
        "<results>/logs/write_external_qa/{task}/{encoding}/{set}.log",
    benchmark:
        "<results>/benchmarks/write_external_qa/{task}/{encoding}/{set}.tsv"
    wildcard_constraints:
        set=EXTERNAL,
        encoding=TEXT_ENCODING,
    priority: AWAITED
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(60),
    params:
        scripts=scripts_folder,
        settings=external_qa_settings,
        out=f"{CONFIG.results}/qa/{{task}}/{{encoding}}/{{set}}",
        code_hash=code_hash("write_qa"),
    shell:
        "python {params.scripts:q}/write_qa.py --settings {params.settings:q} --sample {input.sample:q}"
        " --labels {input.labels:q} --index {input.index:q} --workers {threads} --out {params.out:q}"
        " 2>&1 | tee {log:q}"


use rule write_external_qa as write_own_line_qa with:
    input:
        sample=ancient("<results>/samples/{task}/{set}.parquet"),
        labels=ancient("<results>/labels/{task}/{set}.parquet"),
        digests=digests(
            "<results>/samples/{task}/{set}.parquet",
            "<results>/labels/{task}/{set}.parquet",
        ),
        index="<results>/own_line/index.tsv",
    log:
        "<results>/logs/write_own_line_qa/{task}/{encoding}/{set}.log",
    benchmark:
        "<results>/benchmarks/write_own_line_qa/{task}/{encoding}/{set}.tsv"
    wildcard_constraints:
        set="own_line",
        encoding=TEXT_ENCODING,
