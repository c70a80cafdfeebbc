"""Settings of the rules, as JSON: the leaves of the configuration that each one reads, and no others."""


def survey_settings(wildcards):
    """The survey's own part of the configuration."""
    return leaves(survey=derive.dump(getattr(CONFIG.surveys, wildcards.survey)))


def label_settings(wildcards):
    """What decides a task's labels."""
    return leaves(task=derive.asked(CONFIG.tasks[wildcards.task]))


def sample_settings(wildcards):
    """What decides a sample: its task's labels, its size, the split and the seed."""
    task = CONFIG.tasks[wildcards.task]
    size = {wildcards.size: task.sizes[wildcards.size]}
    return leaves(
        task={**derive.dump(task, exclude={"ask_all", "decimals"}), "sizes": size},
        split=derive.dump(CONFIG.split),
        seed=CONFIG.seed,
    )


def qa_settings(wildcards):
    """What decides the text: the task's form, the encoding, the grid and the number of files."""
    return leaves(
        task=derive.asked(CONFIG.tasks[wildcards.task], training=True),
        encoding=derive.dump(CONFIG.encodings[wildcards.encoding]),
        wavelength=derive.dump(CONFIG.spectra.wavelength),
        files=CONFIG.qa.files,
        seed=CONFIG.seed,
    )


def external_qa_settings(wildcards):
    """What decides the text of a survey's spectra: as in qa_settings, one split of the survey's name."""
    return leaves(
        task=derive.asked(CONFIG.tasks[wildcards.task]),
        encoding=derive.dump(CONFIG.encodings[wildcards.encoding]),
        wavelength=derive.dump(CONFIG.spectra.wavelength),
        files={wildcards.survey: CONFIG.qa.files["test"]},
        seed=CONFIG.seed,
    )


def alteration_settings(wildcards):
    """What decides altered spectra: the one change, how many spectra, and cleaning."""
    return leaves(
        change=derive.dump(derive.change_of(CONFIG, wildcards.set)),
        resolution=CONFIG.degradation.resolution,
        limit=CONFIG.degradation.limit,
        recipe=derive.dump(CONFIG.spectra),
        seed=CONFIG.seed,
    )


def degradation_settings(wildcards):
    """What the degradation table says: of the data as in table_settings, and the changes."""
    return leaves(
        task=derive.asked(CONFIG.tasks[wildcards.task]),
        name=wildcards.task,
        release=CONFIG.surveys.lamost.release,
        mock=CONFIG.mock is not None,
        changes=[derive.dump(change) for change in CONFIG.degradation.changes],
    )


def base_settings(wildcards):
    """What decides a tiny base: its recipe, and the form of questions and answers."""
    base = CONFIG.bases[wildcards.base]
    return leaves(
        base=derive.dump(base),
        task=derive.asked(CONFIG.tasks[base.task]),
        encoding=derive.dump(CONFIG.encodings[base.encoding]),
        wavelength=derive.dump(CONFIG.spectra.wavelength),
        decimals=derive.decimals(CONFIG),
    )


def llm_settings(wildcards):
    """What decides an adapter: the model without its decoding, the text's form, the grid.

    Not the revision that its base is pinned to: the commit that was found is what counts.
    """
    model = derived.model_of(CONFIG, wildcards.model)
    settings = derive.dump(model, exclude={"decoding", "init", "revision"})
    for key in ("epochs", "learning_rate"):
        given = getattr(model.training, key)
        settings["training"][key] = (
            given[wildcards.size] if isinstance(given, dict) else given
        )
    return leaves(
        model=settings,
        task=derive.asked(CONFIG.tasks[wildcards.task]),
        encoding=derive.dump(CONFIG.encodings[model.encoding]),
        wavelength=derive.dump(CONFIG.spectra.wavelength),
    )


def kept_in(folder):
    """A folder for unfinished and finished work; a function, as Snakemake takes braces in a text for wildcards."""

    def path(wildcards):
        return f"{CONFIG.state_dir}/{folder}"

    return path


def spectra_root(wildcards):
    """Root of LAMOST's spectra."""
    return CONFIG.surveys.lamost.spectra


def llm_training(wildcards):
    """How the model is trained: its GPUs and nodes are asked for by the rule."""
    return derived.model_of(CONFIG, wildcards.model).training


def llm_gpus(wildcards):
    """GPUs of one training job, over all its nodes."""
    return llm_training(wildcards).gpus


def llm_nodes(wildcards):
    """Nodes of one training job."""
    return llm_training(wildcards).nodes


def over_nodes(value):
    """A resource of trainings over several nodes, which the others do without; `nodes` stands for their number."""

    def asked(wildcards):
        nodes = llm_nodes(wildcards)
        return (nodes if value == "nodes" else value) if nodes > 1 else None

    return asked


def llm_slurm(wildcards):
    """What Slurm is asked besides: a signal ten minutes before the limit, and to take the job back then.

    The signal is that of starglot.training.time_limit; a job that comes back writes on in its log.
    """
    asked = "--requeue --open-mode=append --signal=URG@600"
    return f"{asked} --ntasks-per-node=1" if llm_nodes(wildcards) > 1 else asked


def answering_gpus(wildcards):
    """GPUs of one prediction job: one process answers, however many trained."""
    return min(1, llm_gpus(wildcards))


def most_cores(most):
    """Threads: `most`, on one machine no more than all cores but one.

    Snakemake keeps no core back: a job that claims them all waits until they are free at once, while smaller jobs take
    them one by one, and then runs beside nothing.  The language models' trainings, which need them all, have to.
    """

    def threads(wildcards):
        # Known only now, not yet when this file is read; a job on a cluster has cores of its own.
        shared = workflow.is_main_process and not workflow.non_local_exec
        return max(1, min(most, workflow.cores - 1)) if shared else most

    return threads


def answering_threads(wildcards):
    """Threads of one prediction job: a tiny base's steps are too small to share, so its jobs go side by side."""
    return 1 if derived.model_of(CONFIG, wildcards.model).base in CONFIG.bases else 16


def baseline_settings(wildcards):
    """What decides a baseline: its own settings at this size, and which labels it learns."""
    model = derive.at_size(derived.model_of(CONFIG, wildcards.model), wildcards.size)
    return leaves(
        model=derive.dump(model), task=derive.asked(CONFIG.tasks[wildcards.task])
    )


def baseline_gpus(wildcards):
    """GPUs of a baseline's jobs."""
    return getattr(derived.model_of(CONFIG, wildcards.model), "gpus", 0)


def baseline_script(step):
    """The script that trains or predicts with a baseline's family, so that each job's code is its own family's."""

    def script(wildcards):
        return f"{step}_{derive.family(derived.model_of(CONFIG, wildcards.model))}"

    return script


def baseline_code(step):
    """Hash of the code of :func:`baseline_script`."""
    codes = {name: code(f"{step}_{name}") for name in derive.FAMILIES}

    def hashed(wildcards):
        return codes[derive.family(derived.model_of(CONFIG, wildcards.model))](
            wildcards
        )

    return hashed


def tree_threads(wildcards):
    """Trees are grown on many cores; all else takes one, so that its sums do not depend on how many there are."""
    return (
        most_cores(16)(wildcards)
        if derive.family(derived.model_of(CONFIG, wildcards.model)) == "trees"
        else 1
    )


def answer_settings(wildcards):
    """What decides the reading of answers: decoding, precision, the text's form."""
    model = derived.model_of(CONFIG, wildcards.model)
    return leaves(
        model=derive.dump(
            model, include={"kind", "base", "encoding", "quantisation", "decoding"}
        ),
        task=derive.asked(CONFIG.tasks[wildcards.task]),
        encoding=derive.dump(CONFIG.encodings[model.encoding]),
        wavelength=derive.dump(CONFIG.spectra.wavelength),
    )


def table_settings(wildcards):
    """What the tables say of the data: the labels in order, the release, whether it is a mock."""
    return leaves(
        task=derive.asked(CONFIG.tasks[wildcards.task]),
        name=wildcards.task,
        release=CONFIG.surveys.lamost.release,
        mock=CONFIG.mock is not None,
    )


def scaling_settings(wildcards):
    """What the tables of the scaling sweep are told."""
    return leaves(
        task=derive.asked(CONFIG.tasks[wildcards.task]),
        name=wildcards.task,
        release=CONFIG.surveys.lamost.release,
        mock=CONFIG.mock is not None,
        test_size=derive.sweep_test_size(CONFIG, wildcards.task),
        scaling=derive.dump(CONFIG.scaling, include={"statistic", "extrapolate"}),
    )


def report_settings(wildcards):
    """What the report says of the run, the resolved configuration included."""
    return leaves(config=derive.dump(CONFIG))


def llm_processes(wildcards):
    """Nodes of a training, and processes on each: one a GPU (workflow/scripts/launch_training.sh)."""
    training = llm_training(wildcards)
    return [training.nodes, training.processes // training.nodes]


def outside_base(wildcards):
    """The Hugging Face id or the folder of a base from outside."""
    slug = wildcards.hub if "hub" in wildcards.keys() else wildcards.own
    return OUTSIDE_BASES[slug][0]


def tables_folder(wildcards):
    """Where tables go."""
    return f"{CONFIG.results}/tables"


def figures_folder(wildcards):
    """Where figures go."""
    return f"{CONFIG.results}/figures"


def predictions_folder(wildcards):
    """Where prediction tables are."""
    return f"{CONFIG.results}/predictions"
