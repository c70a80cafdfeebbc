"""The scaling sweep over seeds, passes and sizes, and cross-validation over folds (docs/scaling.md)."""

from starglot.config.control import control_models


def swept(pattern):
    """Input function: `pattern` for every model and size of the scaling sweep, with the common test set as `set`."""

    def paths(wildcards):
        queries.sweep_test_size(
            CONFIG, wildcards.task
        )  # says what is missing where there is nothing to sweep
        return [
            pattern.format(
                task=wildcards.task,
                model=model,
                size=size,
                set=queries.sweep_set(CONFIG, wildcards.task, size),
            )
            for model in queries.sweep_models(CONFIG, wildcards.task)
            for size in queries.sweep_sizes(CONFIG, wildcards.task)
        ]

    return paths


sweep_predictions = swept(
    "<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet"
)


sweep_manifests = swept("<results>/models/{task}/{model}/{size}/manifest.json")


def sweep_samples(wildcards):
    """The samples of the scaling sweep."""
    return [
        f"<results>/samples/{wildcards.task}/{size}.parquet"
        for size in queries.sweep_sizes(CONFIG, wildcards.task)
    ]


def scaling_settings(wildcards):
    """What the tables of the scaling sweep are told."""
    return leaves(
        task=queries.task_params(CONFIG.tasks[wildcards.task]),
        name=wildcards.task,
        **queries.about_spectra(CONFIG, wildcards.task),
        test_size=queries.sweep_test_size(CONFIG, wildcards.task),
        scaling=queries.dump(CONFIG.scaling, include={"statistic", "extrapolate"}),
    )


rule tabulate_scaling:
    """Sigma of every model of the sweep at every size, and the laws sigma(N) that fit, as tables and a figure."""
    input:
        predictions=ancient(sweep_predictions),
        digests=digests(sweep_predictions),
        models=sweep_manifests,
        samples=ancient(sweep_samples),
        sample_digests=digests(sweep_samples),
    output:
        laws="<results>/tables/scaling_{task}.csv",
        points="<results>/tables/scaling_points_{task}.csv",
        rendered=multiext(
            "<results>/tables/",
            "scaling_{task}.md",
            "scaling_{task}.tex",
            "scaling_points_{task}.md",
            "scaling_points_{task}.tex",
        ),
        png="<results>/figures/scaling_{task}.png",
        svg="<results>/figures/scaling_{task}.svg",
    log:
        "<results>/logs/tabulate_scaling/{task}.log",
    benchmark:
        "<results>/benchmarks/tabulate_scaling/{task}.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(6000),
        runtime=grow(60),
    params:
        scripts=scripts_folder,
        settings=scaling_settings,
        code_hash=code_hash("tabulate_scaling"),
    shell:
        "python {params.scripts:q}/tabulate_scaling.py --settings {params.settings:q} --predictions {input.predictions:q}"
        " --models {input.models:q} --samples {input.samples:q} --points {output.points:q} --laws {output.laws:q}"
        " --png {output.png:q} 2>&1 | tee {log:q}"


def controlled(pattern):
    """Input function: the same for the language models that `scaling: control` compares."""

    def paths(wildcards):
        return [
            pattern.format(
                task=wildcards.task,
                model=model,
                size=size,
                set=queries.sweep_set(CONFIG, wildcards.task, size),
            )
            for model in control_models(CONFIG, wildcards.task)
            for size in queries.sweep_sizes(CONFIG, wildcards.task)
        ]

    return paths


control_predictions = controlled(
    "<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet"
)


control_manifests = controlled("<results>/models/{task}/{model}/{size}/manifest.json")


def control_settings(wildcards):
    """What the table of the controls is told."""
    return leaves(
        task=queries.task_params(CONFIG.tasks[wildcards.task]),
        name=wildcards.task,
        **queries.about_spectra(CONFIG, wildcards.task),
        test_size=queries.sweep_test_size(CONFIG, wildcards.task),
        control=CONFIG.scaling.control,
    )


rule tabulate_control:
    """Language models against controls without what their bases have learnt, by label and size, with a figure."""
    input:
        predictions=ancient(control_predictions),
        digests=digests(control_predictions),
        models=control_manifests,
        samples=ancient(sweep_samples),
        sample_digests=digests(sweep_samples),
    output:
        csv="<results>/tables/control_{task}.csv",
        rendered=multiext("<results>/tables/control_{task}", ".md", ".tex"),
        png="<results>/figures/control_{task}.png",
        svg="<results>/figures/control_{task}.svg",
    log:
        "<results>/logs/tabulate_control/{task}.log",
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        settings=control_settings,
        code_hash=code_hash("tabulate_control"),
    shell:
        "python {params.scripts:q}/tabulate_control.py --settings {params.settings:q}"
        " --predictions {input.predictions:q} --models {input.models:q} --samples {input.samples:q}"
        " --csv {output.csv:q} --png {output.png:q} 2>&1 | tee {log:q}"


def fold_predictions(wildcards):
    """Raw predictions of each fold, by the models that left it out."""
    models = queries.repeated_models(CONFIG, wildcards.task, folds_only=True)
    return repeats_of(wildcards.task, models)


rule tabulate_folds:
    """Cross-validation: mean and scatter over the folds, each tried by the model that left it out."""
    input:
        predictions=ancient(fold_predictions),
        digests=digests(fold_predictions),
    output:
        csv="<results>/tables/folds_{task}.csv",
        rendered=multiext("<results>/tables/folds_{task}", ".md", ".tex"),
    log:
        "<results>/logs/tabulate_folds/{task}.log",
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        settings=table_settings,
        code_hash=code_hash("tabulate_folds"),
    shell:
        "python {params.scripts:q}/tabulate_folds.py --settings {params.settings:q} --predictions {input.predictions:q}"
        " --csv {output.csv:q} 2>&1 | tee {log:q}"


localrules:
    scaling,
    control,


rule control:
    """Target: what pre-training brings, by `scaling: control`, as tables and figures."""
    input:
        expand(
            "<results>/tables/control_{task}.csv",
            task=CONFIG.scaling.tasks if CONFIG.scaling.control else [],
        ),


rule scaling:
    """Target: the scaling sweep of `scaling:`, its tables and figures."""
    input:
        expand("<results>/tables/scaling_{task}.csv", task=CONFIG.scaling.tasks),
