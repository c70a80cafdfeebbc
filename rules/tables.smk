"""Tables, computed from prediction tables alone."""

#: The task whose labels table 1 of the paper counts, and these.
COUNTED_TASK = paper.stage_of(CONFIG, 2) or CONFIG.run.tasks[-1]
COUNTED_LABELS = f"<results>/labels/{COUNTED_TASK}.parquet"


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
        scripts=scripts_folder,
        settings=leaves(
            **queries.about_spectra(CONFIG, COUNTED_TASK),
        ),
        code_hash=code_hash("count_labels"),
    shell:
        "python {params.scripts:q}/count_labels.py --settings {params.settings:q} --labels {input.labels:q}"
        " --csv {output.csv:q} 2>&1 | tee {log:q}"


def task_predictions(wildcards):
    """Every prediction table of one task."""
    return expand(
        "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
        task=wildcards.task,
        model=CONFIG.models_of(wildcards.task),
        size=queries.sizes_of(CONFIG, wildcards.task),
        set=CONFIG.run.sets,
    )


def controls(wildcards):
    """Where the catalogue's Teff, log g and [Fe/H] are, for tasks that are scored beyond them."""
    scored = queries.form_of(CONFIG, wildcards.task).beyond_atmosphere
    return candidates(wildcards) if scored else []


def table_settings(wildcards):
    """What the tables say of the data: labels and groups in order, and what the spectra are."""
    return leaves(
        task=queries.task_params(CONFIG.tasks[wildcards.task]),
        groups=CONFIG.tasks[wildcards.task].sample.group_names,
        name=wildcards.task,
        **queries.about_spectra(CONFIG, wildcards.task),
    )


rule tabulate_residuals:
    """Residual statistics by model, size, set, class and label, and the headline beside the baselines."""
    input:
        predictions=ancient(task_predictions),
        catalog=ancient(controls),
        digests=digests(task_predictions, controls),
    output:
        residuals=in_report(
            "<results>/tables/residuals_{task}.csv",
            "residuals",
            "Imitation",
            task="{task}",
            shows="residuals by class",
        ),
        headline=in_report(
            "<results>/tables/headline_{task}.csv",
            "headline",
            "Imitation",
            task="{task}",
            shows="headline",
        ),
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
        scripts=scripts_folder,
        settings=table_settings,
        code_hash=code_hash("tabulate_residuals"),
    shell:
        "python {params.scripts:q}/tabulate_residuals.py --settings {params.settings:q} --predictions {input.predictions:q}"
        " --catalog {input.catalog:q} --residuals {output.residuals:q} --headline {output.headline:q}"
        " 2>&1 | tee {log:q}"


def external_predictions(wildcards):
    """Prediction tables of one task for the external surveys, at its largest size."""
    return expand(
        "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
        task=wildcards.task,
        model=queries.judged_outside(CONFIG, wildcards.task),
        size=queries.sizes_of(CONFIG, wildcards.task)[-1],
        set=queries.judges(CONFIG, wildcards.task),
    )


rule tabulate_external:
    """Residuals against the labels of external surveys: accuracy, where residuals_* is imitation."""
    input:
        predictions=ancient(external_predictions),
        digests=digests(external_predictions),
    output:
        csv=in_report(
            "<results>/tables/external_{task}.csv",
            "external",
            "Accuracy",
            task="{task}",
            shows="external surveys",
        ),
        rendered=multiext("<results>/tables/external_{task}", ".md", ".tex"),
    log:
        "<results>/logs/tabulate_external/{task}.log",
    benchmark:
        "<results>/benchmarks/tabulate_external/{task}.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(60),
    params:
        scripts=scripts_folder,
        settings=table_settings,
        code_hash=code_hash("tabulate_residuals"),
    shell:
        "python {params.scripts:q}/tabulate_residuals.py --settings {params.settings:q} --predictions {input.predictions:q}"
        " --residuals {output.csv:q} 2>&1 | tee {log:q}"


def tables_folder(wildcards):
    """Where tables go."""
    return f"{CONFIG.results}/tables"


rule tabulate_paper:
    """Tables 2 to 8 of the paper, by number, beside the paper's own cells."""
    input:
        residuals=[
            f"<results>/tables/residuals_{task}.csv" for task in CONFIG.run.tasks
        ],
        external=external_tables(),
    output:
        [
            in_report(
                f"<results>/tables/table_{number}.csv",
                "paper_table",
                "Paper's tables",
                table=str(number),
            )
            for number in range(2, 9)
        ],
        [
            f"<results>/tables/table_{number}.{kind}"
            for number in range(2, 9)
            for kind in ("md", "tex")
        ],
    log:
        "<results>/logs/tabulate_paper.log",
    conda:
        ENV
    resources:
        mem_mb=grow(2000),
        runtime=grow(10),
    params:
        scripts=scripts_folder,
        settings=leaves(
            tables=paper.paper_tables(CONFIG),
            **queries.about_spectra(CONFIG),
        ),
        out=tables_folder,
        code_hash=code_hash("tabulate_paper"),
    shell:
        "python {params.scripts:q}/tabulate_paper.py --settings {params.settings:q} --residuals {input.residuals:q}"
        " --external {input.external:q} --out {params.out:q} 2>&1 | tee {log:q}"


def judged_predictions(wildcards):
    """The prediction tables of one task that its tables by number are made of: one set, all models and sizes."""
    return expand(
        "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
        task=wildcards.task,
        model=CONFIG.models_of(wildcards.task),
        size=queries.sizes_of(CONFIG, wildcards.task),
        set=queries.judged_set(CONFIG),
    )


def judged_calibrations(wildcards):
    """How the sigmas of those prediction tables were scaled, one small file beside each."""
    return [
        path.removesuffix(".parquet") + ".calibration.json"
        for path in judged_predictions(wildcards)
    ]


def repeated_predictions(wildcards):
    """Raw predictions by the models of other seeds and folds, of the set that is judged."""
    models = queries.repeated_models(CONFIG, wildcards.task)
    return repeats_of(wildcards.task, models)


def repeats_of(task, models):
    """Raw predictions by repeated models of a task, at its largest size."""
    return expand(
        "<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet",
        task=task,
        model=models,
        size=queries.sizes_of(CONFIG, task)[-1],
        set=queries.judged_set(CONFIG),
    )


rule tabulate_diagnostics:
    """Calibration of the uncertainties, error budget, and the tails, of one task."""
    input:
        predictions=ancient(judged_predictions),
        calibrations=judged_calibrations,
        repeats=ancient(repeated_predictions),
        labels=ancient("<results>/labels/{task}.parquet"),
        catalog=ancient(candidates),
        digests=digests(
            judged_predictions,
            repeated_predictions,
            "<results>/labels/{task}.parquet",
            candidates,
        ),
    output:
        csv=[f"<results>/tables/{kind}_{{task}}.csv" for kind in DIAGNOSTICS],
        rendered=[
            f"<results>/tables/{kind}_{{task}}.{ending}"
            for kind in DIAGNOSTICS
            for ending in ("md", "tex")
        ],
    log:
        "<results>/logs/tabulate_diagnostics/{task}.log",
    benchmark:
        "<results>/benchmarks/tabulate_diagnostics/{task}.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(60),
    params:
        scripts=scripts_folder,
        settings=table_settings,
        out=tables_folder,
        code_hash=code_hash("tabulate_diagnostics"),
    shell:
        "python {params.scripts:q}/tabulate_diagnostics.py --settings {params.settings:q}"
        " --predictions {input.predictions:q} --calibrations {input.calibrations:q}"
        " --repeats {input.repeats:q} --labels {input.labels:q}"
        " --catalog {input.catalog:q} --out {params.out:q} 2>&1 | tee {log:q}"


def own_line_predictions():
    """The own-line test of all models, at the task's largest size."""
    if not OWN_LINE_TASK:
        return []
    return expand(
        "<results>/predictions/{task}/{model}/{size}/own_line.parquet",
        task=OWN_LINE_TASK,
        model=CONFIG.models_of(OWN_LINE_TASK),
        size=queries.sizes_of(CONFIG, OWN_LINE_TASK)[-1],
    )


if OWN_LINE_TASK:

    rule tabulate_own_line:
        """Which abundances are read from their own lines: response to one [X/Fe] alone, on mock spectra."""
        input:
            predictions=ancient(own_line_predictions()),
            changes=ancient(f"<results>/labels/{OWN_LINE_TASK}/own_line.parquet"),
            digests=[
                f"{path}.sha256"
                for path in [
                    *own_line_predictions(),
                    f"<results>/labels/{OWN_LINE_TASK}/own_line.parquet",
                ]
            ],
        output:
            csv="<results>/tables/own_line.csv",
            rendered=multiext("<results>/tables/own_line", ".md", ".tex"),
            png="<results>/figures/own_line.png",
            svg="<results>/figures/own_line.svg",
        log:
            "<results>/logs/tabulate_own_line.log",
        conda:
            ENV
        resources:
            mem_mb=grow(2000),
            runtime=grow(10),
        params:
            scripts=scripts_folder,
            settings=leaves(task=queries.task_params(CONFIG.tasks[OWN_LINE_TASK])),
            code_hash=code_hash("tabulate_own_line"),
        shell:
            "python {params.scripts:q}/tabulate_own_line.py --settings {params.settings:q}"
            " --predictions {input.predictions:q} --changes {input.changes:q} --csv {output.csv:q}"
            " --png {output.png:q} 2>&1 | tee {log:q}"


rule audit_leakage:
    """Is any star or spectrum in two splits, and which plates do they share?"""
    input:
        samples=ancient(RUN_SAMPLES),
        catalogs=ancient(ALL_CANDIDATES),
        digests=[f"{path}.sha256" for path in [*RUN_SAMPLES, *ALL_CANDIDATES]],
    output:
        csv="<results>/tables/leakage.csv",
        rendered=multiext("<results>/tables/leakage", ".md", ".tex"),
    log:
        "<results>/logs/audit_leakage.log",
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        settings=leaves(
            surveys={
                task: View(CONFIG.tasks[task].view).survey for task in CONFIG.run.tasks
            },
            objects=queries.about_spectra(CONFIG)["objects"],
        ),
        code_hash=code_hash("audit_leakage"),
    shell:
        "python {params.scripts:q}/audit_leakage.py --settings {params.settings:q} --samples {input.samples:q}"
        " --catalogs {input.catalogs:q} --csv {output.csv:q} 2>&1 | tee {log:q}"
