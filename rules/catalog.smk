"""Catalogues: read, match, select, and the inventory of files on disk."""

from starglot.config.applied import spectra_to_select


def survey_files(wildcards):
    """The survey's catalogues, as the configuration names them."""
    return list(CONFIG.surveys.named()[wildcards.survey].catalogs.values())


def survey_made_by(wildcards):
    """Digests of the mock release, where it brings the survey's files."""
    return mock_digests(wildcards.survey)


def survey_contents(wildcards):
    """Digests of the survey's catalogues, when they come from outside: each is read again when its size or time changed.

    Who only plans reads none for a table that is not there: it is made in any case.
    """
    planned = workflow.executor_plugin is None or workflow.dryrun
    table = f"{CONFIG.results}/catalog/{wildcards.survey}.parquet"
    if survey_made_by(wildcards) or (planned and not os.path.exists(table)):
        return []
    return [FINGERPRINTS.of(path) for path in survey_files(wildcards) if path]


def survey_settings(wildcards):
    """The survey's own part of the configuration, as far as its table depends on it."""
    return leaves(survey=CONFIG.surveys.named()[wildcards.survey].of_catalog())


rule read_survey:
    """A survey's catalogues -> one table in the project's names, units and nulls, its flags applied.

    Of a survey whose spectra are read, with the identity of each star.
    """
    input:
        catalogs=ancient(survey_files),
        digests=survey_made_by,
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
        mem_mb=grow(16000),  # 11 million rows in columns are some 8 GB, a join holds them twice
        runtime=grow(60),
    params:
        scripts=scripts_folder,
        settings=survey_settings,
        contents=survey_contents,
        code_hash=code_hash("read_survey"),
    shell:
        "python {params.scripts:q}/read_survey.py --settings {params.settings:q} --survey {wildcards.survey:q}"
        " --out {output.catalog:q} 2>&1 | tee {log:q}"


def match_settings(wildcards):
    """What decides a match: the radius, the release of the survey's Gaia ids, how the other one names a star.

    Where that one has spectra, too: what its visits of a star are told by.
    """
    surveys, visits = CONFIG.surveys.with_spectra(), {}
    if other := surveys.get(wildcards.other):
        visits = {"labels": other.brings, "gaia_release": other.gaia_release}
    return leaves(
        match=queries.dump(CONFIG.match),
        gaia_release=surveys[wildcards.survey].gaia_release,
        star=CONFIG.surveys.named()[wildcards.other].star,
        **({"visits": visits} if visits else {}),
    )


rule match_survey:
    """Stars of a survey in another one: by Gaia id within one Gaia release, else by position, one to one."""
    input:
        catalog=ancient("<results>/catalog/{survey}.parquet"),
        other=ancient("<results>/catalog/{other}.parquet"),
        digests=[
            "<results>/catalog/{survey}.parquet.sha256",
            "<results>/catalog/{other}.parquet.sha256",
        ],
    output:
        match="<results>/match/{survey}_{other}.parquet",
        digest="<results>/match/{survey}_{other}.parquet.sha256",
    log:
        "<results>/logs/match_survey/{survey}_{other}.log",
    benchmark:
        "<results>/benchmarks/match_survey/{survey}_{other}.tsv"
    wildcard_constraints:
        survey=SPECTRUM_SURVEYS,
    conda:
        ENV
    resources:
        mem_mb=grow(16000),
        runtime=grow(60),
    params:
        scripts=scripts_folder,
        settings=match_settings,
        code_hash=code_hash("match_survey"),
    shell:
        "python {params.scripts:q}/match_survey.py --settings {params.settings:q} --catalog {input.catalog:q}"
        " --other {input.other:q} --out {output.match:q} 2>&1 | tee {log:q}"


rule list_held_out:
    """The spectra that a survey holds out, with their labels, as a match with another survey has them."""
    input:
        catalog=ancient("<results>/catalog/{survey}.parquet"),
        digest="<results>/catalog/{survey}.parquet.sha256",
    output:
        match=f"<results>/match/{{survey}}_{queries.HELD_OUT}.parquet",
        digest=f"<results>/match/{{survey}}_{queries.HELD_OUT}.parquet.sha256",
    log:
        "<results>/logs/list_held_out/{survey}.log",
    wildcard_constraints:
        survey=SPECTRUM_SURVEYS,
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        code_hash=code_hash("list_held_out"),
    shell:
        "python {params.scripts:q}/list_held_out.py --settings '{{}}' --catalog {input.catalog:q}"
        " --survey {wildcards.survey:q} --out {output.match:q} 2>&1 | tee {log:q}"


def matches(wildcards):
    """The survey's matches with all that bring labels or judge; what it holds out itself, where that is predicted."""
    survey = wildcards.survey
    others = queries.label_surveys(CONFIG, survey)
    if queries.holds_out(CONFIG, survey):
        others.append(queries.HELD_OUT)
    return [f"<results>/match/{survey}_{other}.parquet" for other in others]


def selection_settings(wildcards):
    """What decides which rows are worth a look: labels and counts by task, cuts, columns that name a file."""
    survey = CONFIG.surveys.with_spectra()[wildcards.survey]
    return leaves(
        wanted=spectra_to_select(CONFIG, wildcards.survey),
        snr_min=survey.snr_min,
        places=survey.places,
        select=queries.dump(CONFIG.select),
        seed=CONFIG.seed,
    )


rule select_stars:
    """The catalogue rows that the configured samples need, with a margin, and every star matched to a survey."""
    input:
        catalog=ancient("<results>/catalog/{survey}.parquet"),
        matches=ancient(matches),
        digests=digests("<results>/catalog/{survey}.parquet", matches),
    output:
        candidates="<results>/catalog/candidates/{survey}.parquet",
        digest="<results>/catalog/candidates/{survey}.parquet.sha256",
        counts="<results>/catalog/candidates/{survey}.counts.json",
    log:
        "<results>/logs/select_stars/{survey}.log",
    benchmark:
        "<results>/benchmarks/select_stars/{survey}.tsv"
    wildcard_constraints:
        survey=SPECTRUM_SURVEYS,
    conda:
        ENV
    resources:
        mem_mb=grow(16000),
        runtime=grow(30),
    params:
        scripts=scripts_folder,
        settings=selection_settings,
        code_hash=code_hash("select_stars"),
    shell:
        "python {params.scripts:q}/select_stars.py --settings {params.settings:q} --catalog {input.catalog:q}"
        " --matches {input.matches:q} --out {output.candidates:q} 2>&1 | tee {log:q}"


@of_many_jobs
def spectra_root(wildcards):
    """Root of the survey's spectra."""
    return CONFIG.surveys.with_spectra()[wildcards.survey].spectra


def spectra_roots(wildcards):
    """Roots of the spectra of all surveys that tasks ask about."""
    surveys = CONFIG.surveys.with_spectra()
    return [surveys[survey].spectra for survey in VIEWED_SURVEYS]


checkpoint inventory:
    """Which of the selected spectra are on disk (file, row, size, mtime), by shard.  Again: snakemake --cores all -R inventory -- inventory"""
    input:
        candidates=ancient(ALL_CANDIDATES),
        digests=[
            *(f"{path}.sha256" for path in ALL_CANDIDATES),
            *dict.fromkeys(
                path for each in VIEWED_SURVEYS for path in mock_digests(each)
            ),
        ],
    output:
        shards=expand("<results>/catalog/shards/{survey}.txt", survey=VIEWED_SURVEYS),
        folders=directory(
            expand("<results>/catalog/inventory/{survey}", survey=VIEWED_SURVEYS)
        ),
    log:
        "<results>/logs/inventory.log",
    benchmark:
        "<results>/benchmarks/inventory.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(240),  # twelve million files on a shared disk, some thousands a second
    params:
        scripts=scripts_folder,
        surveys=VIEWED_SURVEYS,
        roots=spectra_roots,
        code_hash=code_hash("inventory"),
    shell:
        "python {params.scripts:q}/inventory.py --settings '{{}}' --surveys {params.surveys:q}"
        " --candidates {input.candidates:q} --roots {params.roots:q} --shards {output.shards:q}"
        " --folders {output.folders:q} 2>&1 | tee {log:q}"


@cache
def inventory_taken():
    """Raises until the inventory has been taken; that it has stays true while a run lasts."""
    checkpoints.inventory.get()


@of_many_jobs
def inventoried(wildcards):
    """The shard's entry in the inventory, once that has been taken."""
    inventory_taken()
    return f"<results>/catalog/inventory/{wildcards.survey}/{wildcards.shard}.parquet"


localrules:
    select_shard,


rule select_shard:
    """One shard's rows as an input of their own, so that those of others do not touch it."""
    input:
        inventoried,
    output:
        "<results>/catalog/selected/{survey}/{shard}.parquet",
    log:
        "<results>/logs/select_shard/{survey}/{shard}.log",
    conda:
        ENV
    resources:
        mem_mb=100,
        runtime=5,
    shell:
        "cp {input:q} {output:q} 2> {log:q}"
