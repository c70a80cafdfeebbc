"""Models carried from one survey to another by size, seed, trained parameters and rate, and the target `transfer` (docs/transfer.md)."""

#: Of these tasks those that the sweep of `scaling:` takes to several sizes, and the papers' tables of them.
SWEPT_TRANSFER = [task for task in CONFIG.scaling.tasks if task in TRANSFER_TASKS]
NAMED_TABLES = ["specclip_1", "transfer_a1", "transfer_a2"]


def of_each_swept(pattern):
    """`pattern` for the models, sizes and common test set of the sweep, of each of these tasks."""
    return [
        pattern.format(
            task=task,
            model=model,
            size=size,
            set=queries.sweep_set(CONFIG, task, size),
        )
        for task in SWEPT_TRANSFER
        for model in queries.sweep_models(CONFIG, task)
        for size in queries.sweep_sizes(CONFIG, task)
    ]


SWEPT_PREDICTIONS = of_each_swept(
    "<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet"
)
SWEPT_SAMPLES = list(
    dict.fromkeys(of_each_swept("<results>/samples/{task}/{size}.parquet"))
)


if SWEPT_TRANSFER:

    rule tabulate_transfer_sizes:
        """R2 and scatters by number of training spectra, over seeds: the papers' tables, and curves."""
        input:
            predictions=ancient(SWEPT_PREDICTIONS),
            samples=ancient(SWEPT_SAMPLES),
            digests=[f"{path}.sha256" for path in SWEPT_PREDICTIONS + SWEPT_SAMPLES],
        output:
            csv=expand("<results>/tables/{name}.csv", name=NAMED_TABLES),
            rendered=[
                f"<results>/tables/{name}.{kind}"
                for name in NAMED_TABLES
                for kind in ("md", "tex")
            ],
            png="<results>/figures/transfer_sizes.png",
            svg="<results>/figures/transfer_sizes.svg",
        log:
            "<results>/logs/tabulate_transfer_sizes.log",
        conda:
            ENV
        resources:
            mem_mb=grow(4000),
            runtime=grow(30),
        params:
            scripts=scripts_folder,
            settings=leaves(
                **queries.about_spectra(CONFIG, *SWEPT_TRANSFER),
                strategies=starts.strategies(
                    CONFIG, SWEPT_TRANSFER, CONFIG.scaling.models
                ),
                bases=starts.bases_of(CONFIG),
            ),
            code_hash=code_hash("tabulate_transfer_sizes"),
        shell:
            "python {params.scripts:q}/tabulate_transfer_sizes.py --settings {params.settings:q}"
            " --predictions {input.predictions:q} --samples {input.samples:q} --csv {output.csv:q}"
            " --png {output.png:q} 2>&1 | tee {log:q}"


def of_largest(pattern):
    """Input function: `pattern` for every model of the sweep at a task's largest size there."""

    def paths(wildcards):
        size = queries.sweep_sizes(CONFIG, wildcards.task)[-1]
        found = queries.sweep_set(CONFIG, wildcards.task, size)
        return [
            pattern.format(task=wildcards.task, model=model, size=size, set=found)
            for model in queries.sweep_models(CONFIG, wildcards.task)
        ]

    return paths


largest_predictions = of_largest(
    "<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet"
)


def largest_sample(wildcards):
    """The sample of that size."""
    size = queries.sweep_sizes(CONFIG, wildcards.task)[-1]
    return f"<results>/samples/{wildcards.task}/{size}.parquet"


def parameters_settings(wildcards):
    """What is said of the models of the sweep, and how each goes on."""
    task = wildcards.task
    return leaves(
        task=task,
        **queries.about_spectra(CONFIG, task),
        strategies=starts.strategies(CONFIG, [task], CONFIG.scaling.models),
        bases=starts.bases_of(CONFIG),
    )


rule tabulate_transfer_parameters:
    """R2 and scatters by trained parameters and by learning rate, over seeds, at the sweep's largest size."""
    input:
        predictions=ancient(largest_predictions),
        sample=ancient(largest_sample),
        digests=digests(largest_predictions, largest_sample),
        models=of_largest("<results>/models/{task}/{model}/{size}/manifest.json"),
    output:
        csv="<results>/tables/transfer_parameters_{task}.csv",
        rendered=multiext("<results>/tables/transfer_parameters_{task}", ".md", ".tex"),
        png="<results>/figures/transfer_parameters_{task}.png",
        svg="<results>/figures/transfer_parameters_{task}.svg",
    log:
        "<results>/logs/tabulate_transfer_parameters/{task}.log",
    wildcard_constraints:
        task=one_of(SWEPT_TRANSFER),
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(30),
    params:
        scripts=scripts_folder,
        settings=parameters_settings,
        code_hash=code_hash("tabulate_transfer_parameters"),
    shell:
        "python {params.scripts:q}/tabulate_transfer_parameters.py --settings {params.settings:q}"
        " --predictions {input.predictions:q} --models {input.models:q} --sample {input.sample:q}"
        " --csv {output.csv:q} --png {output.png:q} 2>&1 | tee {log:q}"


localrules:
    transfer,


rule transfer:
    """Target: the tables and figures of strategies, and by size and seed the sweep of `scaling:` over these tasks."""
    input:
        ["<results>/tables/transfer_1.csv"] if TRANSFER_TASKS else [],
        expand(
            "<results>/tables/{name}.csv", name=NAMED_TABLES if SWEPT_TRANSFER else []
        ),
        expand("<results>/figures/strategies_{task}.png", task=TRANSFER_TASKS),
        expand("<results>/tables/mmd_{task}.csv", task=PLANE_TASKS),
        expand(
            "<results>/tables/{kind}_{task}.csv",
            kind=["landscapes", "saliency"],
            task=EXPLAINED_TASKS,
        ),
        expand(
            [
                "<results>/tables/scaling_{task}.csv",
                "<results>/figures/scaling_{task}.png",
                "<results>/tables/transfer_parameters_{task}.csv",
            ],
            task=SWEPT_TRANSFER,
        ),
