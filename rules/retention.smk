"""Language retention: bases and tuned models answer questions that have nothing to do with spectra (docs/retention.md)."""

from starglot.config.retained import retention_models, untuned_models, untuned_name
from starglot.language.question_sets import read_set

#: Bases as they are quantised -> a model that is compared with each; and the question sets.
UNTUNED = untuned_models(CONFIG)
QUESTIONS = one_of(CONFIG.retention.sets)
WITH_LM_EVAL = "../envs/retention.yaml"


def question_files(wildcards):
    """All files of a question set."""
    try:
        return [
            str(path)
            for path in read_set(CONFIG.retention.sets[wildcards.questions]).files
        ]
    except StarglotError as error:
        raise WorkflowError(str(error))


def question_file(wildcards):
    """The task file of a question set."""
    return CONFIG.retention.sets[wildcards.questions]


def base_file(model):
    """What says which base a model stands on."""
    if model.base in CONFIG.bases:
        return f"<results>/bases/{model.base}/manifest.json"
    return f"<results>/bases/{base_slug(model.base, model.revision)}.json"


def untuned_base(wildcards):
    """The same of a base by itself."""
    return base_file(UNTUNED[wildcards.untuned])


def untuned_base_name(wildcards):
    """A base by itself as it is loaded: a folder or a Hugging Face id."""
    name = UNTUNED[wildcards.untuned].base
    return f"{CONFIG.results}/bases/{name}" if name in CONFIG.bases else name


def asking(model):
    """What decides an answer, beside the model and the questions."""
    return leaves(
        retention=queries.dump(CONFIG.retention, exclude={"sets", "models"}),
        quantisation=model.quantisation,
    )


def untuned_settings(wildcards):
    """The same for a base by itself."""
    return asking(UNTUNED[wildcards.untuned])


def tuned_settings(wildcards):
    """The same for a tuned model."""
    return asking(variants.model_of(CONFIG, wildcards.model))


def untuned_gpus(wildcards):
    """GPUs of a base by itself: as of the models that are compared with it."""
    return min(1, UNTUNED[wildcards.untuned].training.gpus)


rule ask_base:
    """A base without an adapter answers a question set."""
    input:
        questions=question_files,
        base=untuned_base,
    output:
        "<results>/retention/{untuned}/{questions}.json",
    log:
        "<results>/logs/ask_base/{untuned}/{questions}.log",
    benchmark:
        "<results>/benchmarks/ask_base/{untuned}/{questions}.tsv"
    wildcard_constraints:
        untuned=one_of(UNTUNED),
        questions=QUESTIONS,
    conda:
        WITH_LM_EVAL
    threads: most_cores(16)
    resources:
        mem_mb=grow(32000),
        runtime=grow(240),
        gpu=untuned_gpus,
    params:
        scripts=scripts_folder,
        settings=untuned_settings,
        questions=question_file,
        base=untuned_base_name,
        state=state_in("bases"),
        code_hash=code_hash("ask_questions"),
    shell:
        "python {params.scripts:q}/ask_questions.py --settings {params.settings:q} --questions {params.questions:q}"
        " --base {params.base:q} --found {input.base:q} --state {params.state:q} --threads {threads} --out {output:q}"
        " 2>&1 | tee {log:q}"


rule ask_tuned:
    """A tuned language model answers a question set, as its base does."""
    input:
        questions=question_files,
        base=llm_base,
        model="<results>/models/{task}/{model}/{size}/manifest.json",
    output:
        "<results>/retention/{task}/{model}/{size}/{questions}.json",
    log:
        "<results>/logs/ask_tuned/{task}/{model}/{size}/{questions}.log",
    benchmark:
        "<results>/benchmarks/ask_tuned/{task}/{model}/{size}/{questions}.tsv"
    wildcard_constraints:
        model=models_among([*ALL_LLMS, *PATCH_LLMS]),
        questions=QUESTIONS,
    conda:
        WITH_LM_EVAL
    threads: most_cores(16)
    resources:
        mem_mb=grow(32000),
        runtime=grow(240),
        gpu=answering_gpus,
    params:
        scripts=scripts_folder,
        settings=tuned_settings,
        questions=question_file,
        base=llm_base_name,
        state=state_in("bases"),
        code_hash=code_hash("ask_questions"),
    shell:
        "python {params.scripts:q}/ask_questions.py --settings {params.settings:q} --questions {params.questions:q}"
        " --base {params.base:q} --found {input.base:q} --model {input.model:q} --state {params.state:q}"
        " --threads {threads} --out {output:q} 2>&1 | tee {log:q}"


def retention_answers(wildcards):
    """Answers of a task's tuned models, at every size of `run:`."""
    return expand(
        "<results>/retention/{task}/{model}/{size}/{questions}.json",
        task=wildcards.task,
        model=retention_models(CONFIG, wildcards.task),
        size=queries.sizes_of(CONFIG, wildcards.task),
        questions=CONFIG.retention.sets,
    )


def untuned_answers(wildcards):
    """Answers of their bases."""
    names = {
        untuned_name(CONFIG, variants.model_of(CONFIG, model)): None
        for model in retention_models(CONFIG, wildcards.task)
    }
    return expand(
        "<results>/retention/{untuned}/{questions}.json",
        untuned=names,
        questions=CONFIG.retention.sets,
    )


def retention_predictions(wildcards):
    """Predictions of the same models."""
    return expand(
        "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
        task=wildcards.task,
        model=retention_models(CONFIG, wildcards.task),
        size=queries.sizes_of(CONFIG, wildcards.task),
        set=queries.judged_set(CONFIG),
    )


def retention_settings(wildcards):
    """What the table says of the spectra, and the label whose errors stand in it."""
    return leaves(
        name=wildcards.task,
        label=CONFIG.tasks[wildcards.task].labels[0],
        **queries.about_spectra(CONFIG, wildcards.task),
    )


rule tabulate_retention:
    """Accuracy on question sets relative to the base's, beside errors on spectra; the trade-off as a figure."""
    input:
        tuned=retention_answers,
        untuned=untuned_answers,
        predictions=ancient(retention_predictions),
        digests=digests(retention_predictions),
    output:
        csv="<results>/tables/retention_{task}.csv",
        rendered=multiext("<results>/tables/retention_{task}", ".md", ".tex"),
        png="<results>/figures/retention_{task}.png",
        svg="<results>/figures/retention_{task}.svg",
    log:
        "<results>/logs/tabulate_retention/{task}.log",
    conda:
        ENV
    resources:
        mem_mb=grow(2000),
        runtime=grow(10),
    params:
        scripts=scripts_folder,
        settings=retention_settings,
        code_hash=code_hash("tabulate_retention"),
    shell:
        "python {params.scripts:q}/tabulate_retention.py --settings {params.settings:q} --tuned {input.tuned:q}"
        " --untuned {input.untuned:q} --predictions {input.predictions:q} --csv {output.csv:q} --png {output.png:q}"
        " 2>&1 | tee {log:q}"


localrules:
    retention,


rule retention:
    """Target: what the language models of `run:` have retained of their language; not part of `all`."""
    input:
        expand(
            "<results>/tables/retention_{task}.csv",
            task=[
                task
                for task in CONFIG.run.tasks
                if CONFIG.retention.sets and retention_models(CONFIG, task)
            ],
        ),
