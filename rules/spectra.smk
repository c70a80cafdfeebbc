"""Cleaned spectra, a shard of a survey at a time, by a recipe."""

@cache
def recipe_leaves(recipe):
    """The recipe, all of it: one text for all shards."""
    return leaves(recipe=queries.dump(CONFIG.recipes[recipe]))


@of_many_jobs
def recipe_settings(wildcards):
    """The recipe."""
    return recipe_leaves(wildcards.recipe)


rule clean_shard:
    """Mask, normalise and resample one shard's spectra; what cannot be cleaned is listed with its reason."""
    input:
        "<results>/catalog/selected/{survey}/{shard}.parquet",
    output:
        spectra="<results>/spectra/{survey}/{recipe}/{shard}.parquet",
        rejected="<results>/spectra/{survey}/{recipe}/{shard}.rejected.parquet",
        digests="<results>/spectra/{survey}/{recipe}/{shard}.sha256",
    log:
        "<results>/logs/clean_shard/{survey}/{recipe}/{shard}.log",
    benchmark:
        "<results>/benchmarks/clean_shard/{survey}/{recipe}/{shard}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=grow(2000),  # 4,000 spectra are 40 MB as they are kept; libraries and two Snakemakes weigh more
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        settings=recipe_settings,
        root=spectra_root,
        code_hash=code_hash("clean_shard"),
    shell:
        "python {params.scripts:q}/clean_shard.py --settings {params.settings:q} --survey {wildcards.survey:q}"
        " --selected {input:q} --root {params.root:q} --workers {threads} --code-hash {params.code_hash:q} --spectra {output.spectra:q}"
        " --rejected {output.rejected:q} --digests {output.digests:q} 2>&1 | tee {log:q}"


def shards(survey):
    """Names of a survey's shards, known once the inventory has been taken."""
    inventory_taken()
    listed = Path(f"{CONFIG.results}/catalog/shards/{survey}.txt")
    return listed.read_text(encoding="utf-8").split()


def all_spectra_digests(wildcards):
    """The digests of every shard's cleaned spectra."""
    folder = f"<results>/spectra/{wildcards.survey}/{wildcards.recipe}"
    return [f"{folder}/{shard}.sha256" for shard in shards(wildcards.survey)]


localrules:
    index_spectra,


rule index_spectra:
    """All shards of a view in one small table of digests: what the rules that read spectra depend on, in place of each shard.

    What cleaning held beside the spectra, should a job be killed, is dropped: all shards are done.
    """
    input:
        shards="<results>/catalog/shards/{survey}.txt",
        digests=all_spectra_digests,
    output:
        "<results>/spectra/{survey}/{recipe}/index.tsv",
    log:
        "<results>/logs/index_spectra/{survey}/{recipe}.log",
    conda:
        ENV
    resources:
        mem_mb=500,
        runtime=10,
    params:
        scripts=scripts_folder,
        code_hash=code_hash("index_spectra"),
    shell:
        "python {params.scripts:q}/index_spectra.py --settings '{{}}' --shards {input.shards:q}"
        " --out {output:q} 2>&1 | tee {log:q}"


def all_spectra(wildcards):
    """The cleaned spectra of every shard of every view."""
    return [
        f"<results>/spectra/{view}/{shard}.parquet"
        for view in CONFIG.views
        for shard in shards(View(view).survey)
    ]


localrules:
    clean,


rule clean:
    """Target: every cleaned shard of the views that tasks ask about."""
    input:
        VIEW_INDEXES,
        all_spectra,
