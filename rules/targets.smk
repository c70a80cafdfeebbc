"""The list of tables and figures of `run:`: what `tables` and `all` build, and what the report shows."""


def external_tables():
    """Residuals against external surveys, of tasks that any of them can judge."""
    judged = [task for task in CONFIG.run.tasks if queries.judges(CONFIG, task)]
    return expand("<results>/tables/external_{task}.csv", task=judged)


def kiel_figures():
    """Kiel diagrams of the language models, for the tasks that ask for Teff, log g and [Fe/H]."""
    return [
        f"<results>/figures/kiel_{task}_{model}_{size}_{name}.png"
        for task in CONFIG.run.tasks
        if {"teff", "logg", "feh"} <= set(CONFIG.tasks[task].labels)
        for model in queries.run_language_models(CONFIG, task)
        for size in queries.sizes_of(CONFIG, task)
        for name in CONFIG.run.sets
    ]


KIELS = kiel_figures()


#: Tables of a task on the quality of its uncertainties and errors.
DIAGNOSTICS = ["calibration", "budget", "tails"]


DIAGNOSTIC_FIGURES = ["trends", "repeats", "calibration", "worst"]


PAPER_FIGURES = paper.paper_figures(CONFIG)


def diagnostic_figures():
    """Diagnostic figures of the leading model, at the largest size of each task."""
    return [
        f"<results>/figures/{kind}_{task}_{queries.leading_model(CONFIG, task)}_{queries.sizes_of(CONFIG, task)[-1]}"
        f"_{queries.judged_set(CONFIG)}.png"
        for task in CONFIG.run.tasks
        for kind in [*DIAGNOSTIC_FIGURES, *queries.form_of(CONFIG, task).figures]
    ]


def shown_models(task):
    """Models whose predictions are drawn: the LLMs and the one beside them (any other on request, by path)."""
    return queries.judged_outside(CONFIG, task)


def curved_models(task):
    """Models whose training leaves a loss curve."""
    return queries.curved(CONFIG, CONFIG.models_of(task))


def paired_tables(kind):
    """Models against the best baseline, star by star, where the run has both: `paired`, or on `altered` spectra."""
    return [
        f"<results>/tables/{kind}_{task}.csv"
        for task, models in (
            (task, CONFIG.models_of(task)) for task in CONFIG.run.tasks
        )
        if comparisons.compared(CONFIG, models)
        and comparisons.baselines(CONFIG, models)
    ]


def own_line_outputs():
    """Table and figure of the own-line test, where there is one."""
    if not OWN_LINE_TASK:
        return []
    return ["<results>/tables/own_line.csv", "<results>/figures/own_line.png"]


#: Tasks at which a model of `run:` goes on from one that saw another view.
TRANSFER_TASKS = starts.transfer_tasks(CONFIG)
#: Tasks that ask for redshifts.
REDSHIFT_TASKS = [
    task for task in CONFIG.run.tasks if "redshift" in CONFIG.tasks[task].labels
]


def redshift_outputs():
    """Tables and figures of redshifts, where a task asks for them."""
    if not REDSHIFT_TASKS:
        return []
    return [
        "<results>/tables/redshift_1.csv",
        "<results>/tables/redshift_2.csv",
        "<results>/figures/redshift_1.png",
        "<results>/figures/redshift_2.png",
    ]


FOLD_TABLES = [
    f"<results>/tables/folds_{task}.csv"
    for task in CONFIG.run.tasks
    if queries.repeated_models(CONFIG, task, folds_only=True)
]


#: Tables of `run:`, in the order of the report.
TABLES = [
    *expand(
        "<results>/tables/{kind}_{task}.csv",
        kind=["residuals", "headline", *DIAGNOSTICS],
        task=CONFIG.run.tasks,
    ),
    *expand("<results>/tables/table_{number}.csv", number=range(1, 9)),
    *external_tables(),
    *paired_tables("paired"),
    *expand("<results>/tables/limit_{task}.csv", task=LIMIT_TASKS),
    "<results>/tables/leakage.csv",
    *FOLD_TABLES,
    *(["<results>/tables/transfer_1.csv"] if TRANSFER_TASKS else []),
    *redshift_outputs()[:2],
    *ALIGNMENT_TABLES,
]

#: Figures of `run:`, and the own-line test with its table.
FIGURES = [
    *built(
        "<results>/figures/predicted_{task}_{model}_{size}_{set}.png",
        models_of=shown_models,
        set=CONFIG.run.sets,
    ),
    *KIELS,
    *diagnostic_figures(),
    *expand("<results>/figures/figure_{number}.png", number=list(PAPER_FIGURES)),
    *built(
        "<results>/figures/training_{task}_{model}_{size}.png", models_of=curved_models
    ),
    *own_line_outputs(),
    *redshift_outputs()[2:],
]


localrules:
    tables,


rule tables:
    """Target: every table and figure of `run:`."""
    input:
        TABLES,
        FIGURES,
