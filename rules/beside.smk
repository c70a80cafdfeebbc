"""Inputs of the report, and of the targets beside `all`: the scaling sweep and the degradation table."""


def swept(pattern):
    """Input function: `pattern` for every model and size of the scaling sweep, with the common test set as `set`."""

    def paths(wildcards):
        derive.sweep_test_size(
            CONFIG, wildcards.task
        )  # says what is missing where there is nothing to sweep
        return [
            pattern.format(
                task=wildcards.task,
                model=model,
                size=size,
                set=derive.sweep_set(CONFIG, wildcards.task, size),
            )
            for model in derive.sweep_models(CONFIG)
            for size in derive.sweep_sizes(CONFIG, wildcards.task)
        ]

    return paths


sweep_predictions = swept(
    "<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet"
)
sweep_manifests = swept("<results>/models/{task}/{model}/{size}/manifest.json")


def sweep_samples(wildcards):
    """The samples of the scaling sweep."""
    return [
        f"<results>/samples/{wildcards.task}/{size}.parquet"
        for size in derive.sweep_sizes(CONFIG, wildcards.task)
    ]


def unaltered_sample(wildcards):
    """The sample whose test spectra are altered: the task's largest."""
    size = derive.sizes_of(CONFIG, wildcards.task)[-1]
    return f"<results>/samples/{wildcards.task}/{size}.parquet"


def altered_predictions(sets):
    """Input function: predictions of some sets by all models of a task's largest size."""

    def paths(wildcards):
        return expand(
            "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
            task=wildcards.task,
            model=CONFIG.run.models,
            size=derive.sizes_of(CONFIG, wildcards.task)[-1],
            set=sets,
        )

    return paths


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
