"""The page that a person reads."""


rule build_report:
    """One offline page: headline, tables, figures, what was rejected and why, the settings that made them."""
    input:
        tables=expand(
            "<results>/tables/{kind}_{task}.csv",
            kind=["residuals", "headline"],
            task=CONFIG.run.tasks,
        ),
        numbered=expand("<results>/tables/table_{number}.csv", number=range(1, 9)),
        more=[
            *expand(
                "<results>/tables/{kind}_{task}.csv",
                kind=DIAGNOSTICS,
                task=CONFIG.run.tasks,
            ),
            *external_tables(),
            *own_line_outputs(),
            "<results>/tables/leakage.csv",
        ],
        figures=[
            *built(
                "<results>/figures/predicted_{task}_{model}_{size}_{set}.png",
                models=shown_models(),
                set=CONFIG.run.sets,
            ),
            *KIELS,
            *diagnostic_figures(),
            *expand(
                "<results>/figures/figure_{number}.png", number=list(PAPER_FIGURES)
            ),
            *built(
                "<results>/figures/training_{task}_{model}_{size}.png", models=CURVED
            ),
            *KIELS,
        ],
        predictions=ancient(
            built(
                "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
                set=CONFIG.run.sets,
            )
        ),
        digests=built(
            "<results>/predictions/{task}/{model}/{size}/{set}.parquet.sha256",
            set=CONFIG.run.sets,
        ),
        models=built("<results>/models/{task}/{model}/{size}/manifest.json"),
        samples=built("<results>/samples/{task}/{size}.json", models=["-"]),
        calibrations=built(
            "<results>/predictions/{task}/{model}/{size}/{set}.calibration.json",
            set=CONFIG.run.sets,
        ),
        shards="<results>/catalog/shards.txt",
        index="<results>/spectra/index.tsv",
    output:
        in_report("<results>/report.html", "page", "Page", shows="all of it"),
    log:
        "<results>/logs/build_report.log",
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(20),
    params:
        settings=report_settings,
        accepted=accepted_edits,
        when_there=when_there,
        code=code("build_report"),
    shell:
        "python {SCRIPTS:q}/build_report.py --settings {params.settings:q}"
        " --out {output:q} 2>&1 | tee {log:q}"


localrules:
    report,


rule report:
    """Target: the report page."""
    input:
        "<results>/report.html",
