"""Models carried from one survey to another, in a run with tasks at which any goes on from another view (docs/transfer.md)."""


def transfer_predictions():
    """Prediction tables of these tasks: all models, sizes and sets of `run:`."""
    return [
        path
        for path in built(
            "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
            set=CONFIG.run.sets,
        )
        if path.split("/")[-4] in TRANSFER_TASKS
    ]


if TRANSFER_TASKS:

    rule tabulate_transfer:
        """R2 and scatter by strategy, of metal-poor and metal-rich stars apart, beside the paper's numbers."""
        input:
            predictions=ancient(transfer_predictions()),
            digests=[f"{path}.sha256" for path in transfer_predictions()],
        output:
            csv=in_report(
                "<results>/tables/transfer_1.csv",
                "transfer",
                "Imitation",
                shows="transfer",
            ),
            rendered=multiext("<results>/tables/transfer_1", ".md", ".tex"),
        log:
            "<results>/logs/tabulate_transfer.log",
        conda:
            ENV
        resources:
            mem_mb=grow(4000),
            runtime=grow(20),
        params:
            scripts=scripts_folder,
            settings=leaves(
                **queries.about_spectra(CONFIG, *TRANSFER_TASKS),
                strategies=starts.strategies(CONFIG, TRANSFER_TASKS),
            ),
            code_hash=code_hash("tabulate_transfer"),
        shell:
            "python {params.scripts:q}/tabulate_transfer.py --settings {params.settings:q}"
            " --predictions {input.predictions:q} --csv {output.csv:q} 2>&1 | tee {log:q}"


#: Of these tasks those whose labels make up the plane of abundances.
PLANE_TASKS = [
    task
    for task in TRANSFER_TASKS
    if {"feh", "alpha_fe"} <= set(CONFIG.tasks[task].labels)
]


def plane_predictions(wildcards):
    """What the models of `run:` say of a task's judged set, at its largest size."""
    return expand(
        "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
        task=wildcards.task,
        model=CONFIG.models_of(wildcards.task),
        size=queries.sizes_of(CONFIG, wildcards.task)[-1:],
        set=queries.judged_set(CONFIG),
    )


def transfer_settings(wildcards):
    """What is said of a task at which models go on from another view, and how each of them does."""
    return leaves(
        **queries.about_spectra(CONFIG, wildcards.task),
        strategies=starts.strategies(CONFIG, [wildcards.task]),
    )


rule compare_planes:
    """[alpha/Fe] against [Fe/H] by strategy, and the distance of each plane from that of the labels (MMD)."""
    input:
        predictions=ancient(plane_predictions),
        digests=digests(plane_predictions),
    output:
        csv="<results>/tables/mmd_{task}.csv",
        rendered=multiext("<results>/tables/mmd_{task}", ".md", ".tex"),
        png="<results>/figures/mmd_{task}.png",
        svg="<results>/figures/mmd_{task}.svg",
    log:
        "<results>/logs/compare_planes/{task}.log",
    wildcard_constraints:
        task=one_of(PLANE_TASKS),
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        settings=transfer_settings,
        code_hash=code_hash("compare_planes"),
    shell:
        "python {params.scripts:q}/compare_planes.py --settings {params.settings:q}"
        " --predictions {input.predictions:q} --csv {output.csv:q} --png {output.png:q} 2>&1 | tee {log:q}"


def strategies_settings(wildcards):
    """The labels, and what is said of the models."""
    return leaves(
        labels=CONFIG.tasks[wildcards.task].labels,
        **queries.about_spectra(CONFIG, wildcards.task),
        strategies=starts.strategies(CONFIG, [wildcards.task]),
    )


rule draw_strategies:
    """Predicted against label, a panel for each model of `run:` and each label."""
    input:
        predictions=ancient(plane_predictions),
        digests=digests(plane_predictions),
    output:
        png="<results>/figures/strategies_{task}.png",
        svg="<results>/figures/strategies_{task}.svg",
    log:
        "<results>/logs/draw_strategies/{task}.log",
    wildcard_constraints:
        task=one_of(TRANSFER_TASKS),
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        settings=strategies_settings,
        code_hash=code_hash("draw_strategies"),
    shell:
        "python {params.scripts:q}/draw_strategies.py --settings {params.settings:q}"
        " --predictions {input.predictions:q} --png {output.png:q} 2>&1 | tee {log:q}"


#: Of these tasks those with networks that can be looked into.
EXPLAINED_TASKS = [
    task for task in TRANSFER_TASKS if starts.explained_models(CONFIG, task)
]


def moving_models(wildcards):
    """Networks that have trained something at a task."""
    found = starts.explained_models(CONFIG, wildcards.task)
    return [model for model, strategy in found.items() if strategy != "zero_shot"]


def explained_manifests(models):
    """Input function: manifests of the networks that `models` names, at the task's largest size."""

    def manifests(wildcards):
        size = queries.sizes_of(CONFIG, wildcards.task)[-1]
        return [
            f"<results>/models/{wildcards.task}/{model}/{size}/manifest.json"
            for model in models(wildcards)
        ]

    return manifests


def every_explained(wildcards):
    """All networks that are looked into, zero-shot ones too."""
    return list(starts.explained_models(CONFIG, wildcards.task))


def explained_sample(wildcards):
    """The sample whose test spectra they are looked at with."""
    size = queries.sizes_of(CONFIG, wildcards.task)[-1]
    return f"<results>/samples/{wildcards.task}/{size}.parquet"


def explained_settings(wildcards):
    """What opens these networks: their settings, how each goes on, the task and its grid; and the label looked at."""
    task = CONFIG.tasks[wildcards.task]
    size = queries.sizes_of(CONFIG, wildcards.task)[-1]
    found = starts.explained_models(CONFIG, wildcards.task)
    return leaves(
        label="feh" if "feh" in task.labels else task.labels[0],
        **queries.about_spectra(CONFIG, wildcards.task),
        task=queries.grouped_task_params(task),
        wavelength=task_grid(wildcards.task),
        strategies=found,
        models={
            model: queries.dump(
                variants.model_at(CONFIG, model, size), exclude={"init", "transfer"}
            )
            for model in found
        },
    )


rule draw_landscapes:
    """Loss about what each strategy has learnt, along random directions, of metal-poor and metal-rich stars apart."""
    input:
        models=explained_manifests(moving_models),
        sample=ancient(explained_sample),
        labels=ancient("<results>/labels/{task}.parquet"),
        digests=digests(explained_sample, "<results>/labels/{task}.parquet"),
        index=view_index,
    output:
        csv="<results>/tables/landscapes_{task}.csv",
        rendered=multiext("<results>/tables/landscapes_{task}", ".md", ".tex"),
        png="<results>/figures/landscapes_{task}.png",
        svg="<results>/figures/landscapes_{task}.svg",
    log:
        "<results>/logs/draw_landscapes/{task}.log",
    wildcard_constraints:
        task=one_of(EXPLAINED_TASKS),
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(60),
    params:
        scripts=scripts_folder,
        settings=explained_settings,
        code_hash=code_hash("draw_landscapes"),
    shell:
        "python {params.scripts:q}/draw_landscapes.py --settings {params.settings:q} --models {input.models:q}"
        " --sample {input.sample:q} --labels {input.labels:q} --index {input.index:q}"
        " --csv {output.csv:q} --png {output.png:q} 2>&1 | tee {log:q}"


rule draw_saliency:
    """What each strategy's network looks at: sensitivity of a label to flux at rest, and about lines."""
    input:
        models=explained_manifests(every_explained),
        sample=ancient(explained_sample),
        labels=ancient("<results>/labels/{task}.parquet"),
        catalog=ancient(candidates),
        digests=digests(explained_sample, "<results>/labels/{task}.parquet", candidates),
        index=view_index,
    output:
        csv="<results>/tables/saliency_{task}.csv",
        rendered=multiext("<results>/tables/saliency_{task}", ".md", ".tex"),
        png="<results>/figures/saliency_{task}.png",
        svg="<results>/figures/saliency_{task}.svg",
    log:
        "<results>/logs/draw_saliency/{task}.log",
    wildcard_constraints:
        task=one_of(EXPLAINED_TASKS),
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(30),
    params:
        scripts=scripts_folder,
        settings=explained_settings,
        code_hash=code_hash("draw_saliency"),
    shell:
        "python {params.scripts:q}/draw_saliency.py --settings {params.settings:q} --models {input.models:q}"
        " --sample {input.sample:q} --labels {input.labels:q} --index {input.index:q} --catalog {input.catalog:q}"
        " --csv {output.csv:q} --png {output.png:q} 2>&1 | tee {log:q}"
