"""Figures; those of a task as a whole several to a job, as starting matplotlib costs more than drawing one."""


rule draw_predicted:
    """Predicted against true, with residuals, for one model."""
    input:
        predictions=ancient("<results>/predictions/{task}/{model}/{size}/{set}.parquet"),
        digest="<results>/predictions/{task}/{model}/{size}/{set}.parquet.sha256",
    output:
        png="<results>/figures/predicted_{task}_{model}_{size}_{set}.png",
        svg=in_report(
            "<results>/figures/predicted_{task}_{model}_{size}_{set}.svg",
            "figure",
            "Figures",
            task="{task}",
            model="{model}",
            size="{size}",
            set="{set}",
            shows="predicted",
        ),
    log:
        "<results>/logs/draw_predicted/{task}/{model}/{size}/{set}.log",
    conda:
        ENV
    resources:
        mem_mb=grow(2000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        settings=table_settings,
        code_hash=code_hash("draw_predicted"),
    shell:
        "python {params.scripts:q}/draw_predicted.py --settings {params.settings:q} --predictions {input.predictions:q}"
        " --model {wildcards.model:q} --size {wildcards.size:q} --set {wildcards.set:q}"
        " --png {output.png:q} 2>&1 | tee {log:q}"


rule draw_kiel:
    """Teff against log g, predicted beside catalogue, coloured by [Fe/H]."""
    input:
        predictions=ancient("<results>/predictions/{task}/{model}/{size}/{set}.parquet"),
        digest="<results>/predictions/{task}/{model}/{size}/{set}.parquet.sha256",
    output:
        png="<results>/figures/kiel_{task}_{model}_{size}_{set}.png",
        svg=in_report(
            "<results>/figures/kiel_{task}_{model}_{size}_{set}.svg",
            "figure",
            "Figures",
            task="{task}",
            model="{model}",
            size="{size}",
            set="{set}",
            shows="Kiel diagram",
        ),
    log:
        "<results>/logs/draw_kiel/{task}/{model}/{size}/{set}.log",
    conda:
        ENV
    resources:
        mem_mb=grow(2000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        settings=table_settings,
        code_hash=code_hash("draw_kiel"),
    shell:
        "python {params.scripts:q}/draw_kiel.py --settings {params.settings:q} --predictions {input.predictions:q}"
        " --model {wildcards.model:q} --size {wildcards.size:q} --set {wildcards.set:q}"
        " --png {output.png:q} 2>&1 | tee {log:q}"


rule draw_training:
    """The loss curve of one training, of a language model or a network."""
    input:
        "<results>/models/{task}/{model}/{size}/manifest.json",
    output:
        png="<results>/figures/training_{task}_{model}_{size}.png",
        svg="<results>/figures/training_{task}_{model}_{size}.svg",
    log:
        "<results>/logs/draw_training/{task}/{model}/{size}.log",
    wildcard_constraints:
        model=models_among(CURVED),
    conda:
        ENV
    resources:
        mem_mb=grow(2000),
        runtime=grow(10),
    params:
        scripts=scripts_folder,
        code_hash=code_hash("draw_training"),
    shell:
        "python {params.scripts:q}/draw_training.py --settings '{{}}' --model {input:q} --png {output.png:q}"
        " 2>&1 | tee {log:q}"


def tasks_with(*figures):
    """Tasks whose form has these diagnostic figures beside those of every task."""
    return [
        name
        for name in CONFIG.tasks
        if queries.form_of(CONFIG, name).figures == figures
    ]


rule draw_diagnostics:
    """Where a model errs: trends, repeat visits, calibration, worst spectra, classes confused."""
    input:
        predictions=ancient("<results>/predictions/{task}/{model}/{size}/{set}.parquet"),
        catalog=ancient(candidates),
        digests=digests(
            "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
            candidates,
        ),
        index=view_index,
    output:
        png=expand(
            "<results>/figures/{kind}_{{task}}_{{model}}_{{size}}_{{set}}.png",
            kind=[*DIAGNOSTIC_FIGURES, "confusion"],
        ),
        svg=expand(
            "<results>/figures/{kind}_{{task}}_{{model}}_{{size}}_{{set}}.svg",
            kind=[*DIAGNOSTIC_FIGURES, "confusion"],
        ),
    log:
        "<results>/logs/draw_diagnostics/{task}/{model}/{size}/{set}.log",
    benchmark:
        "<results>/benchmarks/draw_diagnostics/{task}/{model}/{size}/{set}.tsv"
    wildcard_constraints:
        task=one_of(tasks_with("confusion")),
    conda:
        ENV
    resources:
        mem_mb=grow(6000),
        runtime=grow(30),
    params:
        scripts=scripts_folder,
        settings=table_settings,
        code_hash=code_hash("draw_diagnostics"),
    shell:
        "python {params.scripts:q}/draw_diagnostics.py --settings {params.settings:q}"
        " --predictions {input.predictions:q} --catalog {input.catalog:q} --index {input.index:q}"
        " --model {wildcards.model:q} --size {wildcards.size:q}"
        " --set {wildcards.set:q} --png {output.png:q} 2>&1 | tee {log:q}"


use rule draw_diagnostics as draw_abundance_diagnostics with:
    output:
        png=expand(
            "<results>/figures/{kind}_{{task}}_{{model}}_{{size}}_{{set}}.png",
            kind=[*DIAGNOSTIC_FIGURES, "planes"],
        ),
        svg=expand(
            "<results>/figures/{kind}_{{task}}_{{model}}_{{size}}_{{set}}.svg",
            kind=[*DIAGNOSTIC_FIGURES, "planes"],
        ),
    log:
        "<results>/logs/draw_abundance_diagnostics/{task}/{model}/{size}/{set}.log",
    benchmark:
        "<results>/benchmarks/draw_abundance_diagnostics/{task}/{model}/{size}/{set}.tsv"
    wildcard_constraints:
        task=one_of(tasks_with("planes")),


use rule draw_diagnostics as draw_common_diagnostics with:
    output:
        png=expand(
            "<results>/figures/{kind}_{{task}}_{{model}}_{{size}}_{{set}}.png",
            kind=DIAGNOSTIC_FIGURES,
        ),
        svg=expand(
            "<results>/figures/{kind}_{{task}}_{{model}}_{{size}}_{{set}}.svg",
            kind=DIAGNOSTIC_FIGURES,
        ),
    log:
        "<results>/logs/draw_common_diagnostics/{task}/{model}/{size}/{set}.log",
    benchmark:
        "<results>/benchmarks/draw_common_diagnostics/{task}/{model}/{size}/{set}.tsv"
    wildcard_constraints:
        task=one_of(tasks_with()),


def paper_figure_predictions():
    """The prediction tables that figures 1 to 8 show."""
    return sorted(
        {
            "<results>/predictions/{task}/{model}/{size}/{set}.parquet".format(**figure)
            for figure in PAPER_FIGURES.values()
        }
    )


def figures_folder(wildcards):
    """Where figures go."""
    return f"{CONFIG.results}/figures"


def predictions_folder(wildcards):
    """Where prediction tables are."""
    return f"{CONFIG.results}/predictions"


if PAPER_FIGURES:

    rule draw_paper:
        """Figures 1 to 8 of the paper: predicted against external surveys."""
        input:
            predictions=ancient(paper_figure_predictions()),
            digests=[f"{path}.sha256" for path in paper_figure_predictions()],
        output:
            [
                in_report(
                    f"<results>/figures/figure_{number}.svg",
                    "paper_figure",
                    "Paper's figures",
                    figure=str(number),
                )
                for number in PAPER_FIGURES
            ],
            [f"<results>/figures/figure_{number}.png" for number in PAPER_FIGURES],
        log:
            "<results>/logs/draw_paper.log",
        benchmark:
            "<results>/benchmarks/draw_paper.tsv"
        conda:
            ENV
        resources:
            mem_mb=grow(4000),
            runtime=grow(20),
        params:
            scripts=scripts_folder,
            settings=leaves(
                figures=PAPER_FIGURES,
                **queries.about_spectra(CONFIG),
            ),
            predictions=predictions_folder,
            out=figures_folder,
            code_hash=code_hash("draw_paper"),
        shell:
            "python {params.scripts:q}/draw_paper.py --settings {params.settings:q}"
            " --predictions {params.predictions:q} --out {params.out:q} 2>&1 | tee {log:q}"
