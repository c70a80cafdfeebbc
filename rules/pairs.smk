"""Pairs: spectra of the same stars in two views (docs/pairs.md)."""


def pair_indexes(wildcards):
    """Indexes of the cleaned spectra of the two views."""
    views = CONFIG.pairs[wildcards.pairs].views
    return [f"<results>/spectra/{view}/index.tsv" for view in views]


def pair_candidates(wildcards):
    """The selected catalogue rows of the two surveys."""
    surveys = CONFIG.pairs[wildcards.pairs].surveys
    return [f"<results>/catalog/candidates/{survey}.parquet" for survey in surveys]


def pair_match(wildcards):
    """Stars of the first survey in the other one."""
    return "<results>/match/{}_{}.parquet".format(
        *CONFIG.pairs[wildcards.pairs].surveys
    )


def pair_settings(wildcards):
    """The views, and what decides the split."""
    return leaves(
        views=CONFIG.pairs[wildcards.pairs].views,
        split=queries.dump(CONFIG.split),
        seed=CONFIG.seed,
    )


rule pair_views:
    """One spectrum in either view of each star that both have, split by star; the account of all others in the JSON."""
    input:
        indexes=pair_indexes,
        candidates=ancient(pair_candidates),
        match=ancient(pair_match),
        digests=digests(pair_candidates, pair_match),
    output:
        pairs="<results>/pairs/{pairs}.parquet",
        digest="<results>/pairs/{pairs}.parquet.sha256",
        manifest="<results>/pairs/{pairs}.json",
    log:
        "<results>/logs/pair_views/{pairs}.log",
    benchmark:
        "<results>/benchmarks/pair_views/{pairs}.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(16000),  # ids and S/N of eleven million rows, twice
        runtime=grow(30),
    params:
        scripts=scripts_folder,
        settings=pair_settings,
        code_hash=code_hash("pair_views"),
    shell:
        "python {params.scripts:q}/pair_views.py --settings {params.settings:q} --indexes {input.indexes:q}"
        " --candidates {input.candidates:q} --match {input.match:q} --out {output.pairs:q} --manifest {output.manifest:q}"
        " 2>&1 | tee {log:q}"


localrules:
    pairs,


rule pairs:
    """Target: every table of pairs of `run:`."""
    input:
        expand("<results>/pairs/{pairs}.parquet", pairs=CONFIG.used_pairs),
