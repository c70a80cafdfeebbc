"""Trained models on altered spectra of test stars: resolution, noise, gaps, velocity, calibration, another format."""


def unaltered_sample(wildcards):
    """The sample whose test spectra are altered: the task's largest."""
    size = queries.sizes_of(CONFIG, wildcards.task)[-1]
    return f"<results>/samples/{wildcards.task}/{size}.parquet"


def alteration_settings(wildcards):
    """What decides altered spectra: the one change, how many spectra, and cleaning."""
    return leaves(
        change=queries.dump(queries.change_of(CONFIG, wildcards.set)),
        resolution=CONFIG.degradation.resolution,
        limit=CONFIG.degradation.limit,
        recipe=queries.dump(CONFIG.recipe_of(CONFIG.tasks[wildcards.task].view)),
        seed=CONFIG.seed,
    )


rule alter_spectra:
    """Some test spectra of a task's largest sample, altered in one way: a prediction set of its own."""
    input:
        sample=ancient(unaltered_sample),
        labels=ancient("<results>/labels/{task}.parquet"),
        digests=digests(unaltered_sample, "<results>/labels/{task}.parquet"),
        index=view_index,
    output:
        spectra="<results>/altered/{task}/{set}/{set}.parquet",
        index="<results>/altered/{task}/{set}/index.tsv",
        rejected="<results>/altered/{task}/{set}/rejected.parquet",
        labels="<results>/labels/{task}/{set}.parquet",
        labels_digest="<results>/labels/{task}/{set}.parquet.sha256",
        sample="<results>/samples/{task}/{set}.parquet",
        sample_digest="<results>/samples/{task}/{set}.parquet.sha256",
    log:
        "<results>/logs/alter_spectra/{task}/{set}.log",
    benchmark:
        "<results>/benchmarks/alter_spectra/{task}/{set}.tsv"
    wildcard_constraints:
        set=one_of(ALTERED_SETS),
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(30),
    params:
        scripts=scripts_folder,
        settings=alteration_settings,
        code_hash=code_hash("alter_spectra"),
    shell:
        "python {params.scripts:q}/alter_spectra.py --settings {params.settings:q} --sample {input.sample:q}"
        " --labels {input.labels:q} --index {input.index:q} --spectra {output.spectra:q}"
        " --rejected {output.rejected:q} --out-index {output.index:q} --out-labels {output.labels:q}"
        " --out-sample {output.sample:q} 2>&1 | tee {log:q}"


use rule write_external_qa as write_altered_qa with:
    input:
        sample=ancient("<results>/samples/{task}/{set}.parquet"),
        labels=ancient("<results>/labels/{task}/{set}.parquet"),
        digests=digests(
            "<results>/samples/{task}/{set}.parquet",
            "<results>/labels/{task}/{set}.parquet",
        ),
        index="<results>/altered/{task}/{set}/index.tsv",
    log:
        "<results>/logs/write_altered_qa/{task}/{encoding}/{set}.log",
    benchmark:
        "<results>/benchmarks/write_altered_qa/{task}/{encoding}/{set}.tsv"
    wildcard_constraints:
        set=one_of(ALTERED_SETS),
        encoding=TEXT_ENCODING,


def altered_predictions(sets):
    """Input function: predictions of some sets by all models of a task's largest size."""

    def paths(wildcards):
        return expand(
            "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
            task=wildcards.task,
            model=CONFIG.models_of(wildcards.task),
            size=queries.sizes_of(CONFIG, wildcards.task)[-1],
            set=sets,
        )

    return paths


def degradation_settings(wildcards):
    """What the degradation table says: of the data as in table_settings, and the changes."""
    return leaves(
        task=queries.task_params(CONFIG.tasks[wildcards.task]),
        name=wildcards.task,
        **queries.about_spectra(CONFIG, wildcards.task),
        changes=[queries.dump(change) for change in CONFIG.degradation.changes],
    )


rule tabulate_degradation:
    """How much worse every model is on each altered set than on the same spectra as they came."""
    input:
        altered=ancient(altered_predictions(ALTERED_SETS)),
        unaltered=ancient(altered_predictions(["test"])),
        digests=digests(
            altered_predictions(ALTERED_SETS), altered_predictions(["test"])
        ),
        rejected=expand(
            "<results>/altered/{{task}}/{set}/rejected.parquet", set=ALTERED_SETS
        ),
    output:
        csv="<results>/tables/degradation_{task}.csv",
        rendered=multiext("<results>/tables/degradation_{task}", ".md", ".tex"),
        png="<results>/figures/degradation_{task}.png",
        svg="<results>/figures/degradation_{task}.svg",
    log:
        "<results>/logs/tabulate_degradation/{task}.log",
    benchmark:
        "<results>/benchmarks/tabulate_degradation/{task}.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(60),
    params:
        scripts=scripts_folder,
        settings=degradation_settings,
        code_hash=code_hash("tabulate_degradation"),
    shell:
        "python {params.scripts:q}/tabulate_degradation.py --settings {params.settings:q}"
        " --predictions {input.altered:q} --unaltered {input.unaltered:q} --rejected {input.rejected:q}"
        " --csv {output.csv:q} --png {output.png:q} 2>&1 | tee {log:q}"


def altered_settings(wildcards):
    """What the comparison on altered spectra is told: that of `run:`, at the task's largest size, and the changes."""
    sizes = queries.sizes_of(CONFIG, wildcards.task)[-1:]
    changes = [queries.dump(change) for change in CONFIG.degradation.changes]
    return comparison_of(
        wildcards, CONFIG.models_of(wildcards.task), sizes, changes=changes
    )


use rule tabulate_comparison as tabulate_altered with:
    input:
        predictions=ancient(altered_predictions(ALTERED_SETS)),
        validation=ancient(altered_predictions(["val.raw"])),
        digests=digests(
            altered_predictions(ALTERED_SETS), altered_predictions(["val.raw"])
        ),
    output:
        csv="<results>/tables/altered_{task}.csv",
        rendered=multiext("<results>/tables/altered_{task}", ".md", ".tex"),
    log:
        "<results>/logs/tabulate_altered/{task}.log",
    params:
        scripts=scripts_folder,
        settings=altered_settings,
        code_hash=code_hash("tabulate_paired"),


localrules:
    degradation,


rule degradation:
    """Target: the tables and figures of altered spectra; not part of `all`."""
    input:
        expand(
            "<results>/tables/degradation_{task}.csv",
            task=CONFIG.run.tasks if ALTERED_SETS else [],
        ),
        paired_tables("altered") if ALTERED_SETS else [],
