"""Catalogues of our own: a model over a whole survey, a shard a job, then one table (docs/use-a-model.md)."""

from types import SimpleNamespace

from starglot.config.applied import answering_gpus as gpus_to_answer
from starglot.config.applied import catalogues, opened_models
from starglot.config.kinds.registry import is_language_model


@cache
def model_inputs(task, model, size):
    """What says how a model answers, then its members; and which bases these stand on."""
    opened = opened_models(CONFIG, model)
    bases = [
        llm_base(SimpleNamespace(model=name))
        for name in opened
        if is_language_model(variants.model_of(CONFIG, name))
    ]
    folder = f"<results>/models/{task}"
    return [f"{folder}/{name}/{size}/model.json" for name in opened], bases


@of_many_jobs
def applied_models(wildcards):
    """What says how the model answers, then its members."""
    return model_inputs(wildcards.task, wildcards.model, wildcards.size)[0]


@of_many_jobs
def applied_bases(wildcards):
    """What says which bases they stand on."""
    return model_inputs(wildcards.task, wildcards.model, wildcards.size)[1]


def cleaned_shard(ending):
    """Input function: a file of the survey's shard, cleaned as the task's own spectra are."""

    @of_many_jobs
    def path(wildcards):
        recipe = View(CONFIG.tasks[wildcards.task].view).recipe
        return (
            f"<results>/spectra/{wildcards.survey}/{recipe}/{wildcards.shard}{ending}"
        )

    return path


@of_many_jobs
def applied_gpus(wildcards):
    """GPUs of one job."""
    return gpus_to_answer(CONFIG, wildcards.model, wildcards.size)


@of_many_jobs
def applied_threads(wildcards):
    """Threads; with a GPU as many as the profile has at most, so that a submission asks for the time of all in turn."""
    return 16 if applied_gpus(wildcards) else 1


@cache
def reads_with_language_model(model):
    """Whether a language model is among those that answer."""
    opened = opened_models(CONFIG, model)
    return any(is_language_model(variants.model_of(CONFIG, name)) for name in opened)


@of_many_jobs
def applied_memory(wildcards, attempt):
    """Memory of one job: a language model's weights pass through it."""
    large = reads_with_language_model(wildcards.model)
    return grow(32000 if large else 3000)(wildcards, attempt)


@of_many_jobs
def applied_minutes(wildcards, attempt):
    """Time of one job.

    On processors, the time of a submission is asked for as if its jobs ran side by side (docs/cluster.md), but they run
    one after the other, so that all 16 have to end within the time of one.
    """
    if applied_gpus(wildcards):
        return grow(20)(wildcards, attempt)
    return grow(120 if reads_with_language_model(wildcards.model) else 60)(
        wildcards, attempt
    )


@of_many_jobs
def applied_settings(wildcards):
    """Which columns of the survey's catalogue go along, and whether its class counts for uncertainties."""
    return leaves(
        own_ids=CONFIG.surveys.with_spectra()[wildcards.survey].own_ids,
        by_class=CONFIG.tasks[wildcards.task].sample.by_class,
    )


rule apply_shard:
    """A model's answers to one shard of a survey: every selected spectrum once, rejected ones with the reason."""
    input:
        models=applied_models,
        bases=applied_bases,
        selected="<results>/catalog/selected/{survey}/{shard}.parquet",
        candidates=ancient("<results>/catalog/candidates/{survey}.parquet"),
        candidate_digest="<results>/catalog/candidates/{survey}.parquet.sha256",
        spectra=ancient(cleaned_shard(".parquet")),
        rejected=ancient(cleaned_shard(".rejected.parquet")),
        digests=cleaned_shard(".sha256"),
    output:
        rows="<results>/catalogue/{task}/{model}/{size}/{survey}/{shard}.parquet",
        digest="<results>/catalogue/{task}/{model}/{size}/{survey}/{shard}.parquet.sha256",
    log:
        "<results>/logs/apply_shard/{task}/{model}/{size}/{survey}/{shard}.log",
    benchmark:
        "<results>/benchmarks/apply_shard/{task}/{model}/{size}/{survey}/{shard}.tsv"
    wildcard_constraints:
        survey=SPECTRUM_SURVEYS,
    conda:
        ENV
    threads: applied_threads
    resources:
        mem_mb=applied_memory,
        runtime=applied_minutes,
        gpu=applied_gpus,
    params:
        scripts=scripts_folder,
        settings=applied_settings,
        state=state_in("apply"),
        code_hash=code_hash("apply_shard"),
    shell:
        "OMP_NUM_THREADS={threads} python {params.scripts:q}/apply_shard.py --settings {params.settings:q}"
        " --models {input.models:q} --shard {wildcards.shard:q} --selected {input.selected:q}"
        " --candidates {input.candidates:q} --spectra {input.spectra:q} --rejected {input.rejected:q}"
        " --digests {input.digests:q} --code-hash {params.code_hash:q} --state {params.state:q} --out {output.rows:q} 2>&1 | tee {log:q}"


def applied_shards(wildcards):
    """The answers to every shard of a survey."""
    folder = f"<results>/catalogue/{wildcards.task}/{wildcards.model}/{wildcards.size}/{wildcards.survey}"
    return [f"{folder}/{shard}.parquet" for shard in shards(wildcards.survey)]


def applied_folder(wildcards):
    """Their folder."""
    return f"{CONFIG.results}/catalogue/{wildcards.task}/{wildcards.model}/{wildcards.size}/{wildcards.survey}"


def release_settings(wildcards):
    """Release of the spectra, for the header."""
    return leaves(release=CONFIG.surveys.with_spectra()[wildcards.survey].release)


rule gather_catalogue:
    """The shards of a catalogue as one table, by obsid, in Parquet and FITS."""
    input:
        model="<results>/models/{task}/{model}/{size}/model.json",
        shards="<results>/catalog/shards/{survey}.txt",
        parts=ancient(applied_shards),
        digests=digests(applied_shards),
    output:
        parquet="<results>/catalogue/{task}/{model}/{size}/{survey}.parquet",
        fits="<results>/catalogue/{task}/{model}/{size}/{survey}.fits",
        digest="<results>/catalogue/{task}/{model}/{size}/{survey}.parquet.sha256",
    log:
        "<results>/logs/gather_catalogue/{task}/{model}/{size}/{survey}.log",
    benchmark:
        "<results>/benchmarks/gather_catalogue/{task}/{model}/{size}/{survey}.tsv"
    wildcard_constraints:
        survey=SPECTRUM_SURVEYS,
    conda:
        ENV
    resources:
        mem_mb=grow(2000),
        runtime=grow(60),
    params:
        scripts=scripts_folder,
        folder=applied_folder,
        settings=release_settings,
        code_hash=code_hash("gather_catalogue"),
    shell:
        "python {params.scripts:q}/gather_catalogue.py --settings {params.settings:q} --model {input.model:q}"
        " --survey {wildcards.survey:q} --shards {input.shards:q} --parts {params.folder:q}"
        " --parquet {output.parquet:q} --fits {output.fits:q} 2>&1 | tee {log:q}"


def page_of_catalogue_settings(wildcards):
    """Whether the survey is the mock's, and what its spectra are of."""
    survey = CONFIG.surveys.with_spectra()[wildcards.survey]
    return leaves(mock=CONFIG.mock is not None, objects=survey.objects)


rule draw_catalogue:
    """The page of a catalogue: counts, Kiel diagram, repeated spectra, the survey's own labels."""
    input:
        catalogue=ancient("<results>/catalogue/{task}/{model}/{size}/{survey}.parquet"),
        digest="<results>/catalogue/{task}/{model}/{size}/{survey}.parquet.sha256",
        candidates=ancient("<results>/catalog/candidates/{survey}.parquet"),
        candidate_digest="<results>/catalog/candidates/{survey}.parquet.sha256",
    output:
        "<results>/catalogue/{task}/{model}/{size}/{survey}.html",
    log:
        "<results>/logs/draw_catalogue/{task}/{model}/{size}/{survey}.log",
    wildcard_constraints:
        survey=SPECTRUM_SURVEYS,
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        settings=page_of_catalogue_settings,
        code_hash=code_hash("draw_catalogue"),
    shell:
        "python {params.scripts:q}/draw_catalogue.py --settings {params.settings:q} --catalogue {input.catalogue:q}"
        " --candidates {input.candidates:q} --out {output:q} 2>&1 | tee {log:q}"


#: Every catalogue of `catalogue:`.
CATALOGUES = [
    f"<results>/catalogue/{task}/{model}/{size}/{survey}"
    for task, model, size, survey in catalogues(CONFIG)
]


localrules:
    catalogue,


rule catalogue:
    """Target: the catalogues of `catalogue:`; not part of `all`."""
    input:
        expand(
            "{catalogue}.{ending}",
            catalogue=CATALOGUES,
            ending=["parquet", "fits", "html"],
        ),
