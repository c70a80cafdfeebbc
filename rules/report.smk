"""The page that a person reads."""

from starglot.report.plan import report_plan, shown_on_request
from starglot.workflow.forecast import sample_counts
from starglot.workflow.processor_cost import core_seconds, read_measured


def on_request(wildcards):
    """What somebody has asked for besides, as it is now: a page asks for no sweep, and keeps none up to date.

    So the paths go a way round, by which no rule makes these files.
    """
    known = {path.replace("<results>", CONFIG.results) for path in (*TABLES, *FIGURES)}
    return [
        f"<results>/tables/../{path.parent.name}/{path.name}"
        for path in shown_on_request(CONFIG, Path(CONFIG.results))
        if str(path) not in known
    ]


def accepted_edits(wildcards):
    """What was accepted as current after edits of the code, if anything was: the report shows it."""
    records = f"{CONFIG.results}/{RECORDS}"
    return [records] if os.path.isfile(records) else []


def expected_times():
    """Core-seconds that `starglot plan` expects of each rule, where the project has what the demo's rules took."""
    measured = Path(workflow.basedir) / "benchmarks" / "demo_jobs.tsv"
    if not measured.is_file():
        return {}
    return core_seconds(CONFIG, sample_counts(CONFIG), read_measured(measured))


def page_settings(wildcards):
    """What the page shows, of the tables and figures that are its inputs, and the configuration that it prints."""
    inputs = {
        os.path.normpath(path.replace("<results>", CONFIG.results))
        for path in (*TABLES, *FIGURES, *on_request(wildcards))
    }
    plan = report_plan(
        CONFIG,
        Path(CONFIG.results),
        lambda path: os.path.normpath(path) in inputs,
        expected_times(),
    )
    return leaves(plan=plan)


rule build_report:
    """One offline page: headline, tables, figures, what was rejected and why, the settings that made them."""
    input:
        tables=TABLES,
        figures=FIGURES,
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
        counts=[path.replace(".parquet", ".json") for path in RUN_SAMPLES],
        calibrations=built(
            "<results>/predictions/{task}/{model}/{size}/{set}.calibration.json",
            set=CONFIG.run.sets,
        ),
        shards=expand("<results>/catalog/shards/{survey}.txt", survey=VIEWED_SURVEYS),
        indexes=VIEW_INDEXES,
        candidates=ancient(ALL_CANDIDATES),
        catalog_digests=[f"{path}.sha256" for path in ALL_CANDIDATES],
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
        settings=page_settings,
        code_hash=code_hash("build_report"),
    shell:
        "python {params.scripts:q}/build_report.py --settings {params.settings:q} --out {output:q} 2>&1 | tee {log:q}"


localrules:
    report,


rule report:
    """Target: the report page."""
    input:
        "<results>/report.html",
