"""The page that a person reads."""


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
        scripts=scripts_folder,
        settings=report_settings,
        code=code("build_report"),
    shell:
        "python {params.scripts:q}/build_report.py --settings {params.settings:q}"
        " --shown {input.tables:q} {input.figures:q} {input.on_request:q} --out {output:q} 2>&1 | tee {log:q}"


localrules:
    report,


rule report:
    """Target: the report page."""
    input:
        "<results>/report.html",
