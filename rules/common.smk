"""The few helpers that rules of several files use."""

import json

# Of jobs that could start, those of the language models and what they are asked go first: their way is the longest, and
# left to the end it would run beside nothing.
AWAITED = 10


#: Of this project, wherever it is called from: a run's own folder is another where `--directory` names one.
SCRIPTS = Path(workflow.basedir) / "workflow" / "scripts"


@of_many_jobs
def scripts_folder(wildcards, input):
    """A param of every rule: where the scripts are.

    `input` is asked for and not used: Snakemake records no param that follows from other parts of a job, and a project
    that was moved runs nothing again.
    """
    return str(SCRIPTS)


def state_in(folder):
    """A folder for unfinished and finished work; a function, as Snakemake takes braces in a text for wildcards."""

    def path(wildcards):
        return f"{CONFIG.state_dir}/{folder}"

    return path


def leaves(**values):
    """Config leaves as the JSON that `--settings` takes.

    A name in braces inside a text is written with an escape: Snakemake would take it for a wildcard.
    """
    return re.sub(r"\{(?=\s*[.\w])", r"\\u007b", json.dumps(values, sort_keys=True))


def in_report(path, caption, category, **labels):
    """Mark outputs for `snakemake --report`; captions are in workflow/report."""
    return report(
        path,
        caption=f"../workflow/report/{caption}.rst",
        category=category,
        labels=labels,
    )


def grow(first):
    """A resource that grows with every attempt."""

    def amount(wildcards, attempt):
        return int(first * 1.7 ** (attempt - 1))

    return amount


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


def digests(*large):
    """Input function: the digest files of large files, which are inputs as `ancient()` beside it.

    A rule runs when a digest changes, whatever the age of the large file (docs/rebuilds.md).  Each of `large` is a
    path, or an input function that returns paths.
    """

    def beside(wildcards):
        paths = []
        for each in large:
            found = each(wildcards) if callable(each) else each.format(**wildcards)
            paths += [found] if isinstance(found, str) else found
        return [f"{path}.sha256" for path in paths]

    return beside


def task_grid(task):
    """The wavelengths that a task's spectra are cleaned to, as data."""
    return queries.dump(CONFIG.recipe_of(CONFIG.tasks[task].view).wavelength)


def built(pattern, models_of=CONFIG.models_of, **extra):
    """`pattern` for every task, size and model of `run:` (and every value in `extra`).

    models_of: task -> the models; those that the task is built with.
    """
    return [
        path
        for task in CONFIG.run.tasks
        for path in expand(
            pattern,
            task=task,
            size=queries.sizes_of(CONFIG, task),
            model=models_of(task),
            **extra,
        )
    ]


#: Every sample of `run:`.
RUN_SAMPLES = list(dict.fromkeys(built("<results>/samples/{task}/{size}.parquet")))
