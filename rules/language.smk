"""Questions and answers: spectra and labels as text."""


def qa_files(task, encoding, size, split):
    """The question-and-answer files of one split."""
    return [
        f"<results>/qa/{task}/{encoding}/{size}/{split}-{part:04d}.jsonl.gz"
        for part in range(CONFIG.qa.files.get(split, CONFIG.qa.files["test"]))
    ]


def qa_settings(wildcards):
    """What decides the text: the task's form, the encoding, the grid and the number of files."""
    return leaves(
        task=queries.task_params(CONFIG.tasks[wildcards.task], training=True),
        encoding=queries.dump(CONFIG.encodings[wildcards.encoding]),
        wavelength=task_grid(wildcards.task),
        files=CONFIG.qa.files,
        seed=CONFIG.seed,
    )


rule write_qa:
    """One sample as question-and-answer files, train, val and test."""
    input:
        sample=ancient("<results>/samples/{task}/{size}.parquet"),
        labels=ancient("<results>/labels/{task}.parquet"),
        digests=[
            "<results>/samples/{task}/{size}.parquet.sha256",
            "<results>/labels/{task}.parquet.sha256",
        ],
        index=view_index,
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
        "<results>/logs/write_qa/{task}/{encoding}/{size}.log",
    benchmark:
        "<results>/benchmarks/write_qa/{task}/{encoding}/{size}.tsv"
    wildcard_constraints:
        size=SAMPLE,
        encoding=TEXT_ENCODING,
    priority: AWAITED
    conda:
        ENV
    threads: most_cores(2)
    resources:
        mem_mb=grow(8000),
        runtime=grow(240),
    params:
        scripts=scripts_folder,
        settings=qa_settings,
        out=f"{CONFIG.results}/qa/{{task}}/{{encoding}}/{{size}}",
        code_hash=code_hash("write_qa"),
    shell:
        "python {params.scripts:q}/write_qa.py --settings {params.settings:q} --sample {input.sample:q}"
        " --labels {input.labels:q} --index {input.index:q} --workers {threads} --out {params.out:q}"
        " 2>&1 | tee {log:q}"


def all_qa(wildcards):
    """Every question-and-answer file that the models of `run:` train on or answer."""
    return [
        path
        for task in CONFIG.run.tasks
        for encoding in sorted(
            {
                CONFIG.models[name].encoding
                for name in queries.run_language_models(CONFIG, task)
            }
        )
        for size in queries.sizes_of(CONFIG, task)
        for split in CONFIG.qa.files
        for path in qa_files(task, encoding, size, split)
    ]


localrules:
    qa,


rule qa:
    """Target: every question-and-answer file of `run:`."""
    input:
        all_qa,
