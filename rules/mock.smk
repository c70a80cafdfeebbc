"""A mock release in the surveys' real formats, for a machine without an archive."""

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
            settings=leaves(mock=derive.dump(CONFIG.mock)),
            code=code("make_mock"),
        shell:
            "python workflow/scripts/make_mock.py --settings {params.settings:q} --truth {output.truth:q}"
            " --catalogs {output.catalogs:q} --digests {output.digests:q} 2>&1 | tee {log}"
