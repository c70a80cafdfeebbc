"""Input functions of the rules, named after what they return."""


def made_by_mock():
    """Survey files that the mock release brings: their folder is <results>/mock."""
    lamost = CONFIG.surveys.lamost
    others = [CONFIG.surveys.apogee, CONFIG.surveys.galah, CONFIG.surveys.gaia_eso]
    files = [lamost.stellar, lamost.mstellar, *(it.catalog for it in others if it)]
    return [path for path in files if path]


#: Digests of the mock release's catalogues and spectra; a list, empty where there is no mock.
MOCK_DIGESTS = ["<results>/mock/release.sha256"] if CONFIG.mock else []


def survey_file(wildcards):
    """The survey's catalogue, as the configuration names it."""
    return getattr(CONFIG.surveys, wildcards.survey).catalog


def contents(table, *paths):
    """Digests of files from outside: each is read once, and again only when its size or time has changed.

    Who only plans reads none for a table that is not there: it is made in any case.
    """
    planned = workflow.executor_plugin is None or workflow.dryrun
    if CONFIG.mock or (planned and not os.path.exists(f"{CONFIG.results}/{table}")):
        return []
    return [FINGERPRINTS.of(path) for path in paths if path]


def lamost_contents(wildcards):
    """Digests of LAMOST's catalogues, when they come from outside."""
    lamost = CONFIG.surveys.lamost
    return contents("catalog/lamost.parquet", lamost.stellar, lamost.mstellar)


def survey_contents(wildcards):
    """Digest of the survey's catalogue, when it comes from outside."""
    return contents(f"catalog/{wildcards.survey}.parquet", survey_file(wildcards))


def inventoried(wildcards):
    """The shard's entry in the inventory, once that has been taken."""
    checkpoints.inventory.get()
    return f"<results>/catalog/inventory/{wildcards.shard}.parquet"


def label_match(wildcards):
    """The match that brings a task's labels, when they are not LAMOST's own."""
    source = CONFIG.tasks[wildcards.task].source
    return [] if source == "lamost" else f"<results>/match/lamost_{source}.parquet"


def all_qa(wildcards):
    """Every question-and-answer file that the models of `run:` train on or answer."""
    encodings = sorted({CONFIG.models[name].encoding for name in LLMS})
    return [
        path
        for task in CONFIG.run.tasks
        for size in derive.sizes_of(CONFIG, task)
        for encoding in encodings
        for split in CONFIG.qa.files
        for path in qa_files(task, encoding, size, split)
    ]


def qa_digest(task, encoding, size, split):
    """The digests of one split's files."""
    return f"<results>/qa/{task}/{encoding}/{size}/{split}.sha256"


def base_qa(wildcards):
    """Training questions that a tiny base is pre-trained on (their answers stay unread)."""
    base = CONFIG.bases[wildcards.base]
    return qa_files(base.task, base.encoding, base.size, "train")


def base_qa_digest(wildcards):
    """Digests of those questions."""
    base = CONFIG.bases[wildcards.base]
    return qa_digest(base.task, base.encoding, base.size, "train")


def trained_sample_name(wildcards):
    """The sample that a model is trained on: of its size, less the fold that a derived model leaves out."""
    return derived.sample_name(CONFIG, wildcards.model, wildcards.size)


def trained_sample(wildcards):
    """The file of :func:`trained_sample_name`."""
    return (
        f"<results>/samples/{wildcards.task}/{trained_sample_name(wildcards)}.parquet"
    )


def llm_qa(wildcards, split):
    """One split's questions and answers in the model's own encoding."""
    encoding = derived.model_of(CONFIG, wildcards.model).encoding
    return qa_files(wildcards.task, encoding, trained_sample_name(wildcards), split)


def llm_train_qa(wildcards):
    """Training questions of the model."""
    return llm_qa(wildcards, "train")


def llm_val_qa(wildcards):
    """Validation questions of the model."""
    return llm_qa(wildcards, "val")


def llm_qa_digests(wildcards):
    """Digests of the training and the validation questions."""
    encoding = derived.model_of(CONFIG, wildcards.model).encoding
    return [
        qa_digest(wildcards.task, encoding, trained_sample_name(wildcards), split)
        for split in ("train", "val")
    ]


def llm_base(wildcards):
    """What says which base it is: the manifest of one made by this workflow, or what was found of one from outside."""
    model = derived.model_of(CONFIG, wildcards.model)
    if model.base in CONFIG.bases:
        return f"<results>/bases/{model.base}/manifest.json"
    return f"<results>/bases/{base_slug(model.base, model.revision)}.json"


def own_base_files(wildcards):
    """The files of a base in a folder of the user's; none where it is not there, which the job says."""
    folder = local_folder(OUTSIDE_BASES[wildcards.own][0])
    return [str(folder / name) for name in base_files(folder)] if folder else []


def own_base_state(wildcards):
    """Names, sizes and times of those files, as a digest: their contents are read by the job, when these change."""
    folder = local_folder(OUTSIDE_BASES[wildcards.own][0])
    return same_files(folder) if folder else "absent"


def hub_revision(wildcards):
    """The commit that the local cache has of a base of the hub: of its pinned revision, else of 'main' as it is now.

    Where the cache has none, or not all of it, what was asked for when the base was found last: results outlive it.
    """
    name, pinned = OUTSIDE_BASES[wildcards.hub]
    folder = local_folder(name, pinned)
    now = folder.name if folder and not missing_files(folder) else None
    path = Path(f"{CONFIG.results}/bases/{wildcards.hub}.json")
    found = read_json(path) if path.is_file() else {}
    asked = found.get("asked") if now in (None, found.get("revision")) else now
    return asked or pinned or ""


def llm_base_name(wildcards):
    """The base as the training script loads it: a folder or a Hugging Face id."""
    name = derived.model_of(CONFIG, wildcards.model).base
    return f"{CONFIG.results}/bases/{name}" if name in CONFIG.bases else name


def llm_start(wildcards):
    """Manifest of the model that training continues, if any."""
    start = derive.starts_from(CONFIG, wildcards.task, wildcards.model)
    return "<results>/models/{}/{}/{}/manifest.json".format(*start) if start else []


def member_predictions(wildcards, name):
    """The raw predictions of an ensemble's members for one set, in the members' order."""
    return expand(
        "<results>/predictions/{task}/{member}/{size}/{set}.raw.parquet",
        task=wildcards.task,
        member=derived.model_of(CONFIG, wildcards.model).members,
        size=wildcards.size,
        set=name,
    )


def members_val(wildcards):
    """What the members say of validation stars."""
    return member_predictions(wildcards, "val")


def members_set(wildcards):
    """What the members say of a prediction set."""
    return member_predictions(wildcards, wildcards.set)


def predicted_size(wildcards):
    """Sample that holds the spectra of a prediction set: a size, less the fold that a derived model leaves out."""
    size, _ = derive.set_source(CONFIG, wildcards.task, wildcards.size, wildcards.set)
    if derive.is_sampled(wildcards.set):
        return size
    return derived.sample_name(CONFIG, wildcards.model, size)


def predicted_split(wildcards):
    """Split whose spectra make up a prediction set."""
    return derive.set_source(CONFIG, wildcards.task, wildcards.size, wildcards.set)[1]


def predicted_sample(wildcards):
    """Sample that a prediction set is taken from."""
    return f"<results>/samples/{wildcards.task}/{predicted_size(wildcards)}.parquet"


def predicted_labels(wildcards):
    """True labels of a prediction set: those of the task, or the set's own (see derive.is_sampled)."""
    if derive.is_sampled(wildcards.set):
        return f"<results>/labels/{wildcards.task}/{wildcards.set}.parquet"
    return f"<results>/labels/{wildcards.task}.parquet"


def predicted_index(wildcards):
    """Index of the folder that holds the spectra of a prediction set."""
    if wildcards.set in ALTERED_SETS:
        return f"<results>/altered/{wildcards.task}/{wildcards.set}/index.tsv"
    folder = "own_line" if wildcards.set == "own_line" else "spectra"
    return f"<results>/{folder}/index.tsv"


def predicted_qa(wildcards):
    """Questions of a prediction set."""
    encoding = derived.model_of(CONFIG, wildcards.model).encoding
    return qa_files(
        wildcards.task, encoding, predicted_size(wildcards), predicted_split(wildcards)
    )


def predicted_qa_digest(wildcards):
    """Digests of those questions."""
    encoding = derived.model_of(CONFIG, wildcards.model).encoding
    size, split = predicted_size(wildcards), predicted_split(wildcards)
    return qa_digest(wildcards.task, encoding, size, split)


def seen_samples(wildcards):
    """Samples whose training stars the model has seen, its start's and its base's too."""
    return [
        f"<results>/samples/{task}/{size}.parquet"
        for task, size in derive.trained_on(
            CONFIG, wildcards.task, wildcards.model, wildcards.size
        )
    ]


def task_predictions(wildcards):
    """Every prediction table of one task."""
    return expand(
        "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
        task=wildcards.task,
        model=CONFIG.run.models,
        size=derive.sizes_of(CONFIG, wildcards.task),
        set=CONFIG.run.sets,
    )


def judged_predictions(wildcards):
    """The prediction tables of one task that its tables by number are made of: one set, all models and sizes."""
    return expand(
        "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
        task=wildcards.task,
        model=CONFIG.run.models,
        size=derive.sizes_of(CONFIG, wildcards.task),
        set=derive.judged_set(CONFIG),
    )


def judged_calibrations(wildcards):
    """How the sigmas of those prediction tables were scaled, one small file beside each."""
    return [
        path.removesuffix(".parquet") + ".calibration.json"
        for path in judged_predictions(wildcards)
    ]


def controls_of_abundances(wildcards):
    """Where the catalogue's Teff, log g and [Fe/H] are, for tasks of abundances."""
    asked = CONFIG.tasks[wildcards.task].prompt
    return "<results>/catalog/candidates.parquet" if asked == "abundances" else []


def external_predictions(wildcards):
    """Prediction tables of one task for the external surveys, at its largest size."""
    return expand(
        "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
        task=wildcards.task,
        model=derive.judged_outside(CONFIG),
        size=derive.sizes_of(CONFIG, wildcards.task)[-1],
        set=CONFIG.run.validation,
    )


def external_tables():
    """Residuals against external surveys, where any is configured."""
    if not CONFIG.run.validation:
        return []
    return expand("<results>/tables/external_{task}.csv", task=CONFIG.run.tasks)


def kiel_figures():
    """Kiel diagrams of the language models, for the tasks that ask for Teff, log g and [Fe/H]."""
    return [
        f"<results>/figures/kiel_{task}_{model}_{size}_{name}.png"
        for task in CONFIG.run.tasks
        if {"teff", "logg", "feh"} <= set(CONFIG.tasks[task].labels)
        for model in LLMS
        for size in derive.sizes_of(CONFIG, task)
        for name in CONFIG.run.sets
    ]


KIELS = kiel_figures()

#: The labels that table 1 of the paper counts.
COUNTED_LABELS = "<results>/labels/{}.parquet".format(
    "abundances" if "abundances" in CONFIG.run.tasks else CONFIG.run.tasks[-1]
)

#: Tables of a task on the quality of its uncertainties and errors.
DIAGNOSTICS = ["calibration", "budget", "tails"]
DIAGNOSTIC_FIGURES = ["trends", "repeats", "calibration", "worst"]

PAPER_FIGURES = derive.paper_figures(CONFIG)


def tasks_of(prompt):
    """Tasks with the paper's first or second question."""
    return [name for name, task in CONFIG.tasks.items() if task.prompt == prompt]


def paper_figure_predictions():
    """The prediction tables that figures 1 to 8 show."""
    return sorted(
        {
            "<results>/predictions/{task}/{model}/{size}/{set}.parquet".format(**figure)
            for figure in PAPER_FIGURES.values()
        }
    )


def diagnostic_figures():
    """Diagnostic figures of the leading model, at the largest size of each task."""
    extra = {"atmosphere": "confusion", "abundances": "planes"}
    return [
        f"<results>/figures/{kind}_{task}_{derive.leading_model(CONFIG)}_{derive.sizes_of(CONFIG, task)[-1]}"
        f"_{derive.judged_set(CONFIG)}.png"
        for task in CONFIG.run.tasks
        for kind in [*DIAGNOSTIC_FIGURES, extra[CONFIG.tasks[task].prompt]]
    ]


def shown_models():
    """Models whose predictions are drawn: the LLMs and the one beside them (any other on request, by path)."""
    return derive.judged_outside(CONFIG)


OWN_LINE_TASK = derive.own_line_task(CONFIG)


def own_line_predictions():
    """The own-line test of all models, at the task's largest size."""
    if not OWN_LINE_TASK:
        return []
    return expand(
        "<results>/predictions/{task}/{model}/{size}/own_line.parquet",
        task=OWN_LINE_TASK,
        model=CONFIG.run.models,
        size=derive.sizes_of(CONFIG, OWN_LINE_TASK)[-1],
    )


def own_line_outputs():
    """Table and figure of the own-line test, where there is one."""
    if not OWN_LINE_TASK:
        return []
    return ["<results>/tables/own_line.csv", "<results>/figures/own_line.png"]


#: Every sample of `run:`.
RUN_SAMPLES = built("<results>/samples/{task}/{size}.parquet", models=["-"])


def repeated_predictions(wildcards):
    """Raw predictions by the models of other seeds and folds, of the set that is judged."""
    return repeats_of(wildcards.task, derive.repeated_models(CONFIG))


def fold_predictions(wildcards):
    """Raw predictions of each fold, by the models that left it out."""
    return repeats_of(wildcards.task, derive.repeated_models(CONFIG, folds_only=True))


def repeats_of(task, models):
    """Raw predictions by repeated models of a task, at its largest size."""
    return expand(
        "<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet",
        task=task,
        model=models,
        size=derive.sizes_of(CONFIG, task)[-1],
        set=derive.judged_set(CONFIG),
    )


FOLD_TABLES = [
    f"<results>/tables/folds_{task}.csv"
    for task in CONFIG.run.tasks
    if derive.repeated_models(CONFIG, folds_only=True)
]
