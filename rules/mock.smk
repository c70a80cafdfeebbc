"""A mock release in the surveys' real formats, for a machine without an archive."""


def made_by_mock():
    """Survey files that the mock release brings: their folder is <results>/mock."""
    surveys = [survey for survey in CONFIG.surveys.named().values() if survey.in_mock]
    return [path for survey in surveys for path in survey.catalogs.values()]


#: Digests of the mock release's catalogues and spectra; a list, empty where there is no mock.
MOCK_DIGESTS = ["<results>/mock/release.sha256"] if CONFIG.mock else []
#: The same of the mock's synthetic spectra, a grid of its own.
SYNTHETIC_DIGESTS = (
    [f"{grid}.sha256" for grid in CONFIG.surveys.synthetic.catalogs.values()]
    if CONFIG.mock and CONFIG.mock.synthetic
    else []
)


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
                mock=queries.dump(CONFIG.mock, exclude={"own_line", "synthetic"})
            ),
            code_hash=code_hash("make_mock"),
        shell:
            "python {params.scripts:q}/make_mock.py --settings {params.settings:q} --truth {output.truth:q}"
            " --catalogs {output.catalogs:q} --digests {output.digests:q} 2>&1 | tee {log:q}"


if SYNTHETIC_DIGESTS:

    rule make_synthetic:
        """Synthetic spectra of the mock's engine, every abundance drawn on its own: the grid of surveys.synthetic."""
        output:
            grid=list(CONFIG.surveys.synthetic.catalogs.values()),
            digests=SYNTHETIC_DIGESTS,
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


OWN_LINE_TASK = queries.own_line_task(CONFIG)


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
