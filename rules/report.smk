"""The page that a person reads."""

#: Tables that every report shows.
REPORT_TABLES = [
    *expand(
        "<results>/tables/{kind}_{task}.csv",
        kind=["residuals", "headline", *DIAGNOSTICS],
        task=CONFIG.run.tasks,
    ),
    *expand("<results>/tables/table_{number}.csv", number=range(1, 9)),
    *external_tables(),
    "<results>/tables/leakage.csv",
]

#: Figures that every report shows, and the own-line test with its table.
REPORT_FIGURES = [
    *built(
        "<results>/figures/predicted_{task}_{model}_{size}_{set}.png",
        models=shown_models(),
        set=CONFIG.run.sets,
    ),
    *KIELS,
    *diagnostic_figures(),
    *expand("<results>/figures/figure_{number}.png", number=list(PAPER_FIGURES)),
    *built("<results>/figures/training_{task}_{model}_{size}.png", models=CURVED),
    *own_line_outputs(),
]


def on_request(wildcards):
    """What somebody has asked for besides, as it is now: a page asks for no sweep, and keeps none up to date.

    So the paths go a way round, by which no rule makes these files.
    """
    known = {
        path.replace("<results>", CONFIG.results)
        for path in (*REPORT_TABLES, *REPORT_FIGURES)
    }
    return [
        f"<results>/tables/../{path.parent.name}/{path.name}"
        for path in shown_on_request(CONFIG, Path(CONFIG.results))
        if str(path) not in known
    ]


def accepted_edits(wildcards):
    """What was accepted as current after edits of the code, if anything was: the report shows it."""
    records = f"{CONFIG.results}/{RECORDS}"
    return [records] if os.path.isfile(records) else []


rule build_report:
    """One offline page: headline, tables, figures, what was rejected and why, the settings that made them."""
    input:
        tables=REPORT_TABLES,
        figures=REPORT_FIGURES,
        on_request=on_request,
        accepted=accepted_edits,
        predictions=ancient(
            built(
                "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
                set=CONFIG.run.sets,
            )
        ),
        digests=[
            *built(
                "<results>/predictions/{task}/{model}/{size}/{set}.parquet.sha256",
                set=CONFIG.run.sets,
            ),
            *(f"{path}.sha256" for path in RUN_SAMPLES),
        ],
        models=built("<results>/models/{task}/{model}/{size}/manifest.json"),
        samples=ancient(RUN_SAMPLES),
        counts=built("<results>/samples/{task}/{size}.json", models=["-"]),
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
        code=code("build_report"),
    shell:
        "python {SCRIPTS:q}/build_report.py --settings {params.settings:q}"
        " --shown {input.tables:q} {input.figures:q} {input.on_request:q} --out {output:q} 2>&1 | tee {log:q}"


localrules:
    report,


rule report:
    """Target: the report page."""
    input:
        "<results>/report.html",
