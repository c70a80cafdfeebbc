"""Pairs: spectra of the same stars in two views, and encoders that are aligned by them (docs/pairs.md)."""

from starglot.config.kinds.registry import bases_made_of

#: Bases that learn from pairs.
ALIGNED = bases_made_of(CONFIG.bases, "pairs")


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


def pairs_of_base(wildcards):
    """The pairs that an aligned base learns from."""
    return f"<results>/pairs/{CONFIG.bases[wildcards.base].pairs}.parquet"


def views_of_base(wildcards):
    """The two views of an aligned base."""
    return CONFIG.pairs[CONFIG.bases[wildcards.base].pairs].views


def indexes_of_base(wildcards):
    """Indexes of the cleaned spectra of both views."""
    return [f"<results>/spectra/{view}/index.tsv" for view in views_of_base(wildcards)]


def encoders_of_base(wildcards):
    """Manifests of the two encoders."""
    encoders = CONFIG.bases[wildcards.base].encoders
    return [f"<results>/bases/{name}/manifest.json" for name in encoders]


def aligned_settings(wildcards):
    """What decides an aligned base: its settings, and how the spectra of its views were cleaned."""
    views = views_of_base(wildcards)
    return leaves(
        base=base_as_trained(wildcards),
        views=views,
        recipes=[queries.dump(CONFIG.recipe_of(view)) for view in views],
    )


def aligned_start(wildcards):
    """Manifest of the aligned base that another one goes on from, if any."""
    init = CONFIG.bases[wildcards.base].init
    return f"<results>/bases/{init}/manifest.json" if init else []


rule train_aligned:
    """Heads by which two frozen encoders bring the spectra of a star together, test stars left out; continues where it was killed."""
    input:
        pairs=ancient(pairs_of_base),
        digest=digests(pairs_of_base),
        indexes=indexes_of_base,
        encoders=encoders_of_base,
        start=aligned_start,
    output:
        "<results>/bases/{base}/manifest.json",
    log:
        "<results>/logs/train_aligned/{base}.log",
    benchmark:
        "<results>/benchmarks/train_aligned/{base}.tsv"
    wildcard_constraints:
        base=one_of(ALIGNED),
    conda:
        ENV
    threads: encoder_processes
    resources:
        mem_mb=grow(32000),
        runtime=1440,  # does not grow: what was learnt is kept, and another attempt goes on where this one ended
        gpu=encoder_gpus,
        tasks_per_gpu=0,  # the launcher starts the processes, Slurm one task
    params:
        scripts=scripts_folder,
        settings=aligned_settings,
        processes=encoder_processes,
        state=state_in("bases"),
        code_hash=code_hash("train_aligned"),
    shell:
        "OMP_NUM_THREADS={threads} {params.scripts:q}/launch_training.sh 1 {params.processes:q} {params.scripts:q}/train_aligned.py"
        " --settings {params.settings:q} --pairs {input.pairs:q}"
        " --indexes {input.indexes:q} --encoders {input.encoders:q} --continues {input.start:q}"
        " --code-hash {params.code_hash:q}"
        " --state {params.state:q} --manifest {output:q} 2>&1 | tee {log:q}"


def embedding_gpus(wildcards):
    """GPUs that embed: one, where the base was trained on any."""
    return min(1, encoder_gpus(wildcards))


def embedding_settings(wildcards):
    """The views, and whether a GPU embeds."""
    return leaves(views=views_of_base(wildcards), gpus=embedding_gpus(wildcards))


rule embed_pairs:
    """The shared embeddings of every pair: what similarity search looks in (`starglot similar`)."""
    input:
        base="<results>/bases/{base}/manifest.json",
        pairs=ancient(pairs_of_base),
        digest=digests(pairs_of_base),
        indexes=indexes_of_base,
    output:
        embeddings="<results>/embeddings/{base}.parquet",
        digest="<results>/embeddings/{base}.parquet.sha256",
    log:
        "<results>/logs/embed_pairs/{base}.log",
    benchmark:
        "<results>/benchmarks/embed_pairs/{base}.tsv"
    wildcard_constraints:
        base=one_of(ALIGNED),
    conda:
        ENV
    resources:
        mem_mb=grow(16000),  # 820,000 pairs of twice 768 numbers are 5 GB
        runtime=grow(240),
        gpu=embedding_gpus,
    params:
        scripts=scripts_folder,
        settings=embedding_settings,
        code_hash=code_hash("embed_pairs"),
    shell:
        "python {params.scripts:q}/embed_pairs.py --settings {params.settings:q} --base {input.base:q}"
        " --pairs {input.pairs:q} --indexes {input.indexes:q} --out {output.embeddings:q} 2>&1 | tee {log:q}"


def alignment_settings(wildcards):
    """What captions say, and the views."""
    surveys = CONFIG.surveys.with_spectra()
    views = views_of_base(wildcards)
    titles = [surveys[View(view).survey] for view in views]
    return leaves(
        name=wildcards.base,
        views=views,
        release=", ".join(f"{each.title} {each.release}" for each in titles),
        mock=CONFIG.mock is not None,
        objects=queries.objects_of(titles),
    )


rule tabulate_alignment:
    """Similarity search and spectra of the other view, on test pairs, beside simple means."""
    input:
        base="<results>/bases/{base}/manifest.json",
        embeddings=ancient("<results>/embeddings/{base}.parquet"),
        digest="<results>/embeddings/{base}.parquet.sha256",
        indexes=indexes_of_base,
    output:
        retrieval=in_report(
            "<results>/tables/retrieval_{base}.csv",
            "retrieval",
            "Imitation",
            base="{base}",
            shows="similarity search",
        ),
        crossmodal=in_report(
            "<results>/tables/crossmodal_{base}.csv",
            "crossmodal",
            "Imitation",
            base="{base}",
            shows="spectra of the other view",
        ),
        rendered=multiext("<results>/tables/retrieval_{base}", ".md", ".tex"),
        also=multiext("<results>/tables/crossmodal_{base}", ".md", ".tex"),
    log:
        "<results>/logs/tabulate_alignment/{base}.log",
    wildcard_constraints:
        base=one_of(ALIGNED),
    conda:
        ENV
    resources:
        mem_mb=grow(16000),
        runtime=grow(60),
    params:
        scripts=scripts_folder,
        settings=alignment_settings,
        code_hash=code_hash("tabulate_alignment"),
    shell:
        "python {params.scripts:q}/tabulate_alignment.py --settings {params.settings:q} --base {input.base:q}"
        " --embeddings {input.embeddings:q} --indexes {input.indexes:q} --retrieval {output.retrieval:q}"
        " --crossmodal {output.crossmodal:q} 2>&1 | tee {log:q}"


#: Tables of the aligned bases of `run:`.
ALIGNMENT_TABLES = expand(
    "<results>/tables/{kind}_{base}.csv",
    kind=["retrieval", "crossmodal"],
    base=CONFIG.run.bases,
)


localrules:
    pairs,


rule pairs:
    """Target: every table of pairs of `run:`, and the tables of its aligned bases."""
    input:
        expand("<results>/pairs/{pairs}.parquet", pairs=CONFIG.used_pairs),
        ALIGNMENT_TABLES,
