"""Models against the best baseline, on the same stars: of `run:`, and over several seeds on request."""


def paired_settings(wildcards):
    """What a comparison is told: which models are compared, which are baselines, at which sizes."""
    return comparison_of(
        wildcards,
        CONFIG.models_of(wildcards.task),
        queries.sizes_of(CONFIG, wildcards.task),
    )


def comparison_of(wildcards, models, sizes, **further):
    """The settings of a comparison of these models."""
    return leaves(
        task=queries.task_params(CONFIG.tasks[wildcards.task]),
        name=wildcards.task,
        **queries.about_spectra(CONFIG, wildcards.task),
        models=comparisons.compared(CONFIG, models),
        baselines=comparisons.baselines(CONFIG, models),
        sizes=sizes,
        **further,
    )


def judged_validation(wildcards):
    """What the same models as of :func:`judged_predictions` say of validation stars, in the same order."""
    return expand(
        "<results>/predictions/{task}/{model}/{size}/val.raw.parquet",
        task=wildcards.task,
        model=CONFIG.models_of(wildcards.task),
        size=queries.sizes_of(CONFIG, wildcards.task),
    )


rule tabulate_paired:
    """Each language model and ensemble against the baseline that validation stars choose, label by label."""
    input:
        predictions=ancient(judged_predictions),
        validation=ancient(judged_validation),
        digests=digests(judged_predictions, judged_validation),
    output:
        csv=in_report(
            "<results>/tables/paired_{task}.csv",
            "paired",
            "Imitation",
            task="{task}",
            shows="models against the best baseline",
        ),
        rendered=multiext("<results>/tables/paired_{task}", ".md", ".tex"),
    log:
        "<results>/logs/tabulate_paired/{task}.log",
    benchmark:
        "<results>/benchmarks/tabulate_paired/{task}.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(30),
    params:
        scripts=scripts_folder,
        settings=paired_settings,
        code_hash=code_hash("tabulate_paired"),
    shell:
        "python {params.scripts:q}/tabulate_paired.py --settings {params.settings:q} --predictions {input.predictions:q}"
        " --validation {input.validation:q} --csv {output.csv:q} 2>&1 | tee {log:q}"


def seeded(pattern):
    """Input function: `pattern` for every model and seed of the comparison, at the task's largest size."""

    def paths(wildcards):
        return [
            pattern.format(
                task=wildcards.task,
                model=name,
                size=queries.sizes_of(CONFIG, wildcards.task)[-1],
                set=queries.judged_set(CONFIG),
            )
            for model in comparisons.comparison_models(CONFIG, wildcards.task)
            for name in comparisons.seeds_of(CONFIG, model)
        ]

    return paths


seeded_predictions = seeded("<results>/predictions/{task}/{model}/{size}/{set}.parquet")


seeded_validation = seeded(
    "<results>/predictions/{task}/{model}/{size}/val.raw.parquet"
)


def comparison_settings(wildcards):
    """What the comparison over seeds is told."""
    sizes = queries.sizes_of(CONFIG, wildcards.task)[-1:]
    models = comparisons.comparison_models(CONFIG, wildcards.task)
    return comparison_of(wildcards, models, sizes)


rule tabulate_comparison:
    """The same over the seeds of `comparison:`: errors are means over seeds, with the spread of seeds."""
    input:
        predictions=ancient(seeded_predictions),
        validation=ancient(seeded_validation),
        digests=digests(seeded_predictions, seeded_validation),
    output:
        csv="<results>/tables/comparison_{task}.csv",
        rendered=multiext("<results>/tables/comparison_{task}", ".md", ".tex"),
    log:
        "<results>/logs/tabulate_comparison/{task}.log",
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(30),
    params:
        scripts=scripts_folder,
        settings=comparison_settings,
        code_hash=code_hash("tabulate_paired"),
    shell:
        "python {params.scripts:q}/tabulate_paired.py --settings {params.settings:q} --predictions {input.predictions:q}"
        " --validation {input.validation:q} --csv {output.csv:q} 2>&1 | tee {log:q}"


localrules:
    comparison,


rule comparison:
    """Target: models of several seeds against the best baseline; not part of `all`."""
    input:
        expand("<results>/tables/comparison_{task}.csv", task=CONFIG.run.tasks),
