"""A mock release in the surveys' real formats, for a machine without an archive."""


def made_by_mock():
    """Survey files that the mock release brings: their folder is <results>/mock."""
    surveys = [survey for survey in CONFIG.surveys.named().values() if survey.in_mock]
    return [path for survey in surveys for path in survey.catalogs.values()]


#: Digests of the mock release's catalogues and spectra; a list, empty where there is no mock.
MOCK_DIGESTS = ["<results>/mock/release.sha256"] if CONFIG.mock else []


def mock_catalogs(part):
    """Catalogues of the surveys whose files a part of the mock, a release of its own, brings."""
    surveys = CONFIG.surveys.named().values()
    return [
        path
        for survey in surveys
        if survey.mock_part == part
        for path in survey.catalogs.values()
    ]


def mock_digests(survey):
    """Digests of the mock release that brings a survey's files; none where they come from outside."""
    if not queries.made_by_mock(CONFIG, survey):
        return []
    part = CONFIG.surveys.named()[survey].mock_part
    return [f"<results>/mock/{part}.sha256"] if part else MOCK_DIGESTS


if CONFIG.mock:

    rule make_mock:
        """Write the mock release: LAMOST spectra and catalogues, APOGEE, GALAH and Gaia-ESO tables, and the truth."""
        output:
            truth="<results>/mock/truth.parquet",
            catalogs=made_by_mock(),
            digests=MOCK_DIGESTS,
        log:
            "<results>/logs/make_mock.log",
        benchmark:
            "<results>/benchmarks/make_mock.tsv"
        conda:
            ENV
        resources:
            mem_mb=grow(3000),
            runtime=grow(30),
        params:
            scripts=scripts_folder,
            settings=leaves(
                mock=queries.dump(
                    CONFIG.mock,
                    exclude={"own_line", "galaxies", "desi", "gaia_xp", "synthetic"},
                )
            ),
            code_hash=code_hash("make_mock"),
        shell:
            "python {params.scripts:q}/make_mock.py --settings {params.settings:q} --truth {output.truth:q}"
            " --catalogs {output.catalogs:q} --digests {output.digests:q} 2>&1 | tee {log:q}"


if CONFIG.mock and CONFIG.mock.galaxies and mock_catalogs("galaxies"):

    rule make_galaxies:
        """Write the mock release of galaxies: spec files, the specObj table, magnitudes, and the truth."""
        output:
            truth="<results>/mock/sdss/truth.parquet",
            catalogs=mock_catalogs("galaxies"),
            digests="<results>/mock/galaxies.sha256",
        log:
            "<results>/logs/make_galaxies.log",
        benchmark:
            "<results>/benchmarks/make_galaxies.tsv"
        conda:
            ENV
        resources:
            mem_mb=grow(3000),
            runtime=grow(30),
        params:
            scripts=scripts_folder,
            settings=leaves(galaxies=queries.dump(CONFIG.mock.galaxies)),
            code_hash=code_hash("make_galaxies"),
        shell:
            "python {params.scripts:q}/make_galaxies.py --settings {params.settings:q} --truth {output.truth:q}"
            " --catalogs {output.catalogs:q} --digests {output.digests:q} 2>&1 | tee {log:q}"


if CONFIG.mock and CONFIG.mock.desi and mock_catalogs("desi"):

    rule make_desi:
        """What DESI sees of the mock's stars: coadds by healpix, its catalogue, and the truth."""
        output:
            truth="<results>/mock/desi/truth.parquet",
            catalogs=mock_catalogs("desi"),
            digests="<results>/mock/desi.sha256",
        log:
            "<results>/logs/make_desi.log",
        benchmark:
            "<results>/benchmarks/make_desi.tsv"
        conda:
            ENV
        resources:
            mem_mb=grow(3000),
            runtime=grow(30),
        params:
            scripts=scripts_folder,
            settings=leaves(
                mock=queries.dump(CONFIG.mock, include={"spectra", "plates", "seed"}),
                desi=queries.dump(CONFIG.mock.desi),
            ),
            code_hash=code_hash("make_desi"),
        shell:
            "python {params.scripts:q}/make_desi.py --settings {params.settings:q} --truth {output.truth:q}"
            " --catalogs {output.catalogs:q} --digests {output.digests:q} 2>&1 | tee {log:q}"


if CONFIG.mock and CONFIG.mock.gaia_xp and mock_catalogs("gaia_xp"):

    rule make_gaia_xp:
        """What Gaia XP sees of the mock's stars: sampled spectra, the table of sources, and the truth."""
        output:
            truth="<results>/mock/gaia_xp/truth.parquet",
            catalogs=mock_catalogs("gaia_xp"),
            digests="<results>/mock/gaia_xp.sha256",
        log:
            "<results>/logs/make_gaia_xp.log",
        benchmark:
            "<results>/benchmarks/make_gaia_xp.tsv"
        conda:
            ENV
        resources:
            mem_mb=grow(3000),
            runtime=grow(30),
        params:
            scripts=scripts_folder,
            settings=leaves(
                mock=queries.dump(CONFIG.mock, include={"spectra", "plates", "seed"}),
                gaia_xp=queries.dump(CONFIG.mock.gaia_xp),
            ),
            code_hash=code_hash("make_gaia_xp"),
        shell:
            "python {params.scripts:q}/make_gaia_xp.py --settings {params.settings:q} --truth {output.truth:q}"
            " --catalogs {output.catalogs:q} --digests {output.digests:q} 2>&1 | tee {log:q}"


if CONFIG.mock and CONFIG.mock.synthetic and mock_catalogs("synthetic"):

    rule make_synthetic:
        """Synthetic spectra of the mock's engine, every abundance drawn on its own: the grid of surveys.synthetic."""
        output:
            grid=mock_catalogs("synthetic"),
            digests="<results>/mock/synthetic.sha256",
        log:
            "<results>/logs/make_synthetic.log",
        benchmark:
            "<results>/benchmarks/make_synthetic.tsv"
        conda:
            ENV
        resources:
            mem_mb=grow(8000),
            runtime=grow(30),
        params:
            scripts=scripts_folder,
            settings=leaves(
                spectra=CONFIG.mock.synthetic,
                snr=CONFIG.mock.snr,
                seed=CONFIG.mock.seed,
            ),
            code_hash=code_hash("make_synthetic"),
        shell:
            "python {params.scripts:q}/make_synthetic.py --settings {params.settings:q} --grid {output.grid:q}"
            " --digests {output.digests:q} 2>&1 | tee {log:q}"


OWN_LINE_TASK = paper.own_line_task(CONFIG)


if OWN_LINE_TASK:

    rule make_own_line:
        """Spectra in which one [X/Fe] changes and nothing else: a prediction set of its own."""
        output:
            spectra="<results>/own_line/own_line.parquet",
            index="<results>/own_line/index.tsv",
            labels=f"<results>/labels/{OWN_LINE_TASK}/own_line.parquet",
            labels_digest=f"<results>/labels/{OWN_LINE_TASK}/own_line.parquet.sha256",
            sample=f"<results>/samples/{OWN_LINE_TASK}/own_line.parquet",
            sample_digest=f"<results>/samples/{OWN_LINE_TASK}/own_line.parquet.sha256",
        log:
            "<results>/logs/make_own_line.log",
        benchmark:
            "<results>/benchmarks/make_own_line.tsv"
        conda:
            ENV
        resources:
            mem_mb=grow(3000),
            runtime=grow(20),
        params:
            scripts=scripts_folder,
            settings=leaves(
                task=queries.task_params(CONFIG.tasks[OWN_LINE_TASK]),
                recipe=queries.dump(
                    CONFIG.recipe_of(CONFIG.tasks[OWN_LINE_TASK].view)
                ),
                stars=CONFIG.mock.own_line,
                seed=CONFIG.mock.seed,
            ),
            code_hash=code_hash("make_own_line"),
        shell:
            "python {params.scripts:q}/make_own_line.py --settings {params.settings:q} --spectra {output.spectra:q}"
            " --index {output.index:q} --labels {output.labels:q} --sample {output.sample:q} 2>&1 | tee {log:q}"


#: Tasks whose labels the mock draws, and whose spectra it makes.
LIMIT_TASKS = comparisons.limit_tasks(CONFIG)


def largest_sample(wildcards):
    """The sample of a task's largest size."""
    size = queries.sizes_of(CONFIG, wildcards.task)[-1]
    return f"<results>/samples/{wildcards.task}/{size}.parquet"


def limit_settings(wildcards):
    """What decides a limit: how the mock is drawn, and the range of wavelengths that models are shown."""
    grid = CONFIG.recipe_of(CONFIG.tasks[wildcards.task].view).wavelength
    return leaves(
        mock=queries.dump(CONFIG.mock, exclude={"own_line"}),
        range=[grid.start, grid.stop],
    )


def limit_predictions(wildcards):
    """What all models of the largest size say of test spectra."""
    return expand(
        "<results>/predictions/{task}/{model}/{size}/test.parquet",
        task=wildcards.task,
        model=CONFIG.models_of(wildcards.task),
        size=queries.sizes_of(CONFIG, wildcards.task)[-1],
    )


def limit_table_settings(wildcards):
    """What the table of the limit says of the data: labels and groups in order."""
    return leaves(
        task=queries.task_params(CONFIG.tasks[wildcards.task]),
        name=wildcards.task,
        groups=CONFIG.tasks[wildcards.task].sample.group_names,
    )


if LIMIT_TASKS:

    rule make_limit:
        """How well the labels of test spectra can be known at all: Cramer-Rao bounds from the mock's own engine."""
        input:
            truth=ancient("<results>/mock/truth.parquet"),
            release=MOCK_DIGESTS,
            sample=ancient(largest_sample),
            digests=digests(largest_sample),
        output:
            limit="<results>/limit/{task}.parquet",
            digest="<results>/limit/{task}.parquet.sha256",
        log:
            "<results>/logs/make_limit/{task}.log",
        benchmark:
            "<results>/benchmarks/make_limit/{task}.tsv"
        wildcard_constraints:
            task=one_of(LIMIT_TASKS),
        conda:
            ENV
        resources:
            mem_mb=grow(3000),
            runtime=grow(20),
        params:
            scripts=scripts_folder,
            settings=limit_settings,
            code_hash=code_hash("make_limit"),
        shell:
            "python {params.scripts:q}/make_limit.py --settings {params.settings:q} --sample {input.sample:q}"
            " --truth {input.truth:q} --out {output.limit:q} 2>&1 | tee {log:q}"

    rule tabulate_limit:
        """Every model's error against the mock's truth, in units of the information limit."""
        input:
            limit=ancient("<results>/limit/{task}.parquet"),
            predictions=ancient(limit_predictions),
            digests=digests("<results>/limit/{task}.parquet", limit_predictions),
        output:
            csv="<results>/tables/limit_{task}.csv",
            rendered=multiext("<results>/tables/limit_{task}", ".md", ".tex"),
        log:
            "<results>/logs/tabulate_limit/{task}.log",
        wildcard_constraints:
            task=one_of(LIMIT_TASKS),
        conda:
            ENV
        resources:
            mem_mb=grow(2000),
            runtime=grow(10),
        params:
            scripts=scripts_folder,
            settings=limit_table_settings,
            code_hash=code_hash("tabulate_limit"),
        shell:
            "python {params.scripts:q}/tabulate_limit.py --settings {params.settings:q}"
            " --predictions {input.predictions:q} --limit {input.limit:q} --csv {output.csv:q} 2>&1 | tee {log:q}"
