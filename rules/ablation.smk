"""Ablations: a model with one setting varied at a time, of several seeds, on one test set (docs/redshift.md)."""

from dataclasses import asdict

from starglot.config import trials


def ablated(pattern):
    """Input function: `pattern` for every training of a task's ablation, with the common test set as `set`."""

    def paths(wildcards):
        return [
            pattern.format(
                task=wildcards.task,
                model=trial.model,
                size=trial.size,
                set=queries.common_set(CONFIG, wildcards.task, trial.size),
            )
            for trial in trials.seeded(CONFIG, wildcards.task)
        ]

    return paths


ablation_predictions = ablated(
    "<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet"
)


ablation_manifests = ablated("<results>/models/{task}/{model}/{size}/manifest.json")


def ablation_settings(wildcards):
    """What the table of an ablation is told."""
    return leaves(
        task=queries.task_params(CONFIG.tasks[wildcards.task]),
        name=wildcards.task,
        model=CONFIG.ablation[wildcards.task].model,
        trials=[asdict(trial) for trial in trials.seeded(CONFIG, wildcards.task)],
        **queries.about_spectra(CONFIG, wildcards.task),
        test_size=queries.smallest_size(CONFIG, wildcards.task),
    )


rule tabulate_ablation:
    """MAE with one setting varied at a time, over seeds, beside the constant's; and a figure."""
    input:
        predictions=ancient(ablation_predictions),
        digests=digests(ablation_predictions),
        models=ablation_manifests,
    output:
        csv="<results>/tables/ablation_{task}.csv",
        rendered=multiext("<results>/tables/ablation_{task}", ".md", ".tex"),
        png="<results>/figures/ablation_{task}.png",
        svg="<results>/figures/ablation_{task}.svg",
    log:
        "<results>/logs/tabulate_ablation/{task}.log",
    wildcard_constraints:
        task=one_of(CONFIG.ablation),
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        settings=ablation_settings,
        code_hash=code_hash("tabulate_ablation"),
    shell:
        "python {params.scripts:q}/tabulate_ablation.py --settings {params.settings:q}"
        " --predictions {input.predictions:q} --models {input.models:q}"
        " --csv {output.csv:q} --png {output.png:q} 2>&1 | tee {log:q}"


localrules:
    ablation,


rule ablation:
    """Target: the tables and figures of `ablation:`."""
    input:
        expand("<results>/tables/ablation_{task}.csv", task=CONFIG.ablation),
