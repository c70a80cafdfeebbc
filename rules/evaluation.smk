"""Tables and figures, computed from prediction tables alone."""


rule tabulate_residuals:
    """Residual statistics by model, size, set, class and label, and the headline beside the baselines."""
    input:
        predictions=ancient(task_predictions),
        digests=digests(task_predictions),
    output:
        residuals="<results>/tables/residuals_{task}.csv",
        headline="<results>/tables/headline_{task}.csv",
        rendered=multiext(
            "<results>/tables/",
            "residuals_{task}.md",
            "residuals_{task}.tex",
            "headline_{task}.md",
            "headline_{task}.tex",
        ),
    log:
        "<results>/logs/tabulate_residuals/{task}.log",
    benchmark:
        "<results>/benchmarks/tabulate_residuals/{task}.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(60),
    params:
        settings=table_settings,
        code=code("tabulate_residuals"),
    shell:
        "python workflow/scripts/tabulate_residuals.py --settings {params.settings:q} --predictions {input.predictions:q}"
        " --residuals {output.residuals:q} --headline {output.headline:q} 2>&1 | tee {log}"


rule count_labels:
    """Table 1 of the paper: spectra with valid labels, by class."""
    input:
        labels=ancient(COUNTED_LABELS),
        digest=f"{COUNTED_LABELS}.sha256",
    output:
        csv="<results>/tables/table_1.csv",
        md="<results>/tables/table_1.md",
        tex="<results>/tables/table_1.tex",
    log:
        "<results>/logs/count_labels.log",
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(10),
    params:
        settings=leaves(
            release=CONFIG.surveys.lamost.release, mock=CONFIG.mock is not None
        ),
        code=code("count_labels"),
    shell:
        "python workflow/scripts/count_labels.py --settings {params.settings:q} --labels {input.labels:q}"
        " --csv {output.csv:q} 2>&1 | tee {log}"


rule draw_predicted:
    """Predicted against true, with residuals, for one model."""
    input:
        predictions=ancient("<results>/predictions/{task}/{model}/{size}/{set}.parquet"),
        digest="<results>/predictions/{task}/{model}/{size}/{set}.parquet.sha256",
    output:
        png="<results>/figures/predicted_{task}_{model}_{size}_{set}.png",
        svg="<results>/figures/predicted_{task}_{model}_{size}_{set}.svg",
    log:
        "<results>/logs/draw_predicted/{task}/{model}/{size}/{set}.log",
    conda:
        ENV
    resources:
        mem_mb=grow(2000),
        runtime=grow(20),
    params:
        settings=table_settings,
        code=code("draw_predicted"),
    shell:
        "python workflow/scripts/draw_predicted.py --settings {params.settings:q} --predictions {input.predictions:q}"
        " --model {wildcards.model:q} --size {wildcards.size:q} --set {wildcards.set:q}"
        " --png {output.png:q} 2>&1 | tee {log}"


rule draw_kiel:
    """Teff against log g, predicted beside catalogue, coloured by [Fe/H]."""
    input:
        predictions=ancient("<results>/predictions/{task}/{model}/{size}/{set}.parquet"),
        digest="<results>/predictions/{task}/{model}/{size}/{set}.parquet.sha256",
    output:
        png="<results>/figures/kiel_{task}_{model}_{size}_{set}.png",
        svg="<results>/figures/kiel_{task}_{model}_{size}_{set}.svg",
    log:
        "<results>/logs/draw_kiel/{task}/{model}/{size}/{set}.log",
    conda:
        ENV
    resources:
        mem_mb=grow(2000),
        runtime=grow(20),
    params:
        settings=table_settings,
        code=code("draw_kiel"),
    shell:
        "python workflow/scripts/draw_kiel.py --settings {params.settings:q} --predictions {input.predictions:q}"
        " --model {wildcards.model:q} --size {wildcards.size:q} --set {wildcards.set:q}"
        " --png {output.png:q} 2>&1 | tee {log}"


rule draw_training:
    """The loss curve of one training."""
    input:
        "<results>/models/{task}/{model}/{size}/manifest.json",
    output:
        png="<results>/figures/training_{task}_{model}_{size}.png",
        svg="<results>/figures/training_{task}_{model}_{size}.svg",
    log:
        "<results>/logs/draw_training/{task}/{model}/{size}.log",
    wildcard_constraints:
        model=one_of(ALL_LLMS),
    conda:
        ENV
    resources:
        mem_mb=grow(2000),
        runtime=grow(10),
    params:
        code=code("draw_training"),
    shell:
        "python workflow/scripts/draw_training.py --settings '{{}}' --model {input:q} --png {output.png:q}"
        " 2>&1 | tee {log}"


localrules:
    tables,


rule tables:
    """Target: every table and figure of `run:`."""
    input:
        expand("<results>/tables/residuals_{task}.csv", task=CONFIG.run.tasks),
        "<results>/tables/table_1.csv",
        built(
            "<results>/figures/predicted_{task}_{model}_{size}_{set}.png",
            set=CONFIG.run.sets,
        ),
        KIELS,
        built("<results>/figures/training_{task}_{model}_{size}.png", models=LLMS),
