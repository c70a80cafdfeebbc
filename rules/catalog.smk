"""Catalogues: read, match, select, and the inventory of files on disk."""


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


rule read_lamost:
    """LAMOST catalogues -> one table in the project's names, units and nulls, with the identity of each star."""
    input:
        stellar=ancient(CONFIG.surveys.lamost.stellar),
        mstellar=ancient(
            [CONFIG.surveys.lamost.mstellar] if CONFIG.surveys.lamost.mstellar else []
        ),
        digests=MOCK_DIGESTS,
    output:
        catalog="<results>/catalog/lamost.parquet",
        digest="<results>/catalog/lamost.parquet.sha256",
        counts="<results>/catalog/lamost.counts.json",
    log:
        "<results>/logs/read_lamost.log",
    benchmark:
        "<results>/benchmarks/read_lamost.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(16000),
        runtime=grow(60),
    params:
        scripts=scripts_folder,
        settings=leaves(
            survey=derive.dump(
                CONFIG.surveys.lamost,
                exclude={
                    "snr_min",
                    "coverage",
                    "class_counts",
                    "spectra",
                },
            ),
            snr_bands=sorted(CONFIG.surveys.lamost.snr_min),
        ),
        contents=lamost_contents,
        code=code("read_lamost"),
    shell:
        "python {params.scripts:q}/read_lamost.py --settings {params.settings:q} --out {output.catalog:q} 2>&1 | tee {log:q}"


def survey_file(wildcards):
    """The survey's catalogue, as the configuration names it."""
    return getattr(CONFIG.surveys, wildcards.survey).catalog


def survey_contents(wildcards):
    """Digest of the survey's catalogue, when it comes from outside."""
    return contents(f"catalog/{wildcards.survey}.parquet", survey_file(wildcards))


def survey_settings(wildcards):
    """The survey's own part of the configuration."""
    return leaves(survey=derive.dump(getattr(CONFIG.surveys, wildcards.survey)))


rule read_survey:
    """Another survey's catalogue -> one table in the project's names, units and nulls, its flags applied."""
    input:
        catalog=ancient(survey_file),
        digests=MOCK_DIGESTS,
    output:
        catalog="<results>/catalog/{survey}.parquet",
        digest="<results>/catalog/{survey}.parquet.sha256",
        counts="<results>/catalog/{survey}.counts.json",
    log:
        "<results>/logs/read_survey/{survey}.log",
    benchmark:
        "<results>/benchmarks/read_survey/{survey}.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(30),
    params:
        scripts=scripts_folder,
        settings=survey_settings,
        contents=survey_contents,
        code=code("read_survey"),
    shell:
        "python {params.scripts:q}/read_survey.py --settings {params.settings:q} --survey {wildcards.survey:q}"
        " --out {output.catalog:q} 2>&1 | tee {log:q}"


rule match_survey:
    """Stars of LAMOST in another survey: by Gaia id within one Gaia release, else by position, one to one."""
    input:
        lamost=ancient("<results>/catalog/lamost.parquet"),
        other=ancient("<results>/catalog/{survey}.parquet"),
        digests=[
            "<results>/catalog/lamost.parquet.sha256",
            "<results>/catalog/{survey}.parquet.sha256",
        ],
    output:
        match="<results>/match/lamost_{survey}.parquet",
        digest="<results>/match/lamost_{survey}.parquet.sha256",
    log:
        "<results>/logs/match_survey/{survey}.log",
    benchmark:
        "<results>/benchmarks/match_survey/{survey}.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(16000),
        runtime=grow(60),
    params:
        scripts=scripts_folder,
        settings=leaves(
            match=derive.dump(CONFIG.match),
            gaia_release=CONFIG.surveys.lamost.gaia_release,
        ),
        code=code("match_survey"),
    shell:
        "python {params.scripts:q}/match_survey.py --settings {params.settings:q} --lamost {input.lamost:q}"
        " --other {input.other:q} --survey {wildcards.survey:q} --out {output.match:q} 2>&1 | tee {log:q}"


rule select_stars:
    """The catalogue rows that the configured samples need, with a margin, and every star matched to a survey."""
    input:
        catalog=ancient("<results>/catalog/lamost.parquet"),
        matches=ancient(
            expand(
                "<results>/match/lamost_{survey}.parquet",
                survey=derive.label_surveys(CONFIG),
            )
        ),
        digests=[
            "<results>/catalog/lamost.parquet.sha256",
            *expand(
                "<results>/match/lamost_{survey}.parquet.sha256",
                survey=derive.label_surveys(CONFIG),
            ),
        ],
    output:
        candidates="<results>/catalog/candidates.parquet",
        digest="<results>/catalog/candidates.parquet.sha256",
        counts="<results>/catalog/candidates.counts.json",
    log:
        "<results>/logs/select_stars.log",
    benchmark:
        "<results>/benchmarks/select_stars.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(16000),
        runtime=grow(30),
    params:
        scripts=scripts_folder,
        settings=leaves(
            wanted=derive.wanted_per_class(CONFIG),
            snr_min=CONFIG.surveys.lamost.snr_min,
            select=derive.dump(CONFIG.select),
            seed=CONFIG.seed,
        ),
        code=code("select_stars"),
    shell:
        "python {params.scripts:q}/select_stars.py --settings {params.settings:q} --catalog {input.catalog:q}"
        " --matches {input.matches:q} --out {output.candidates:q} 2>&1 | tee {log:q}"


def spectra_root(wildcards):
    """Root of LAMOST's spectra."""
    return CONFIG.surveys.lamost.spectra


checkpoint inventory:
    """Which of the selected files are on disk (path, size, mtime), by shard.  Rescan: snakemake -R inventory inventory"""
    input:
        candidates=ancient("<results>/catalog/candidates.parquet"),
        digests=["<results>/catalog/candidates.parquet.sha256", *MOCK_DIGESTS],
    output:
        shards="<results>/catalog/shards.txt",
        folder=directory("<results>/catalog/inventory"),
    log:
        "<results>/logs/inventory.log",
    benchmark:
        "<results>/benchmarks/inventory.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(240),
    params:
        scripts=scripts_folder,
        root=spectra_root,
        code=code("inventory"),
    shell:
        "python {params.scripts:q}/inventory.py --settings '{{}}' --candidates {input.candidates:q} --root {params.root:q}"
        " --shards {output.shards:q} --folder {output.folder:q} 2>&1 | tee {log:q}"


def inventoried(wildcards):
    """The shard's entry in the inventory, once that has been taken."""
    checkpoints.inventory.get()
    return f"<results>/catalog/inventory/{wildcards.shard}.parquet"


localrules:
    select_shard,


rule select_shard:
    """One shard's rows as an input of their own, so that another plate's rows do not touch it."""
    input:
        inventoried,
    output:
        "<results>/catalog/selected/{shard}.parquet",
    log:
        "<results>/logs/select_shard/{shard}.log",
    conda:
        ENV
    resources:
        mem_mb=100,
        runtime=5,
    shell:
        "cp {input:q} {output:q} 2> {log:q}"
