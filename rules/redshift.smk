"""Redshifts: what a paper on galaxies tabulates, in a run with tasks that ask for them (docs/redshift.md)."""


def redshift_predictions():
    """Prediction tables of the tasks of `run:` that ask for redshifts: all models, sizes and sets."""
    return [
        path
        for path in built(
            "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
            set=CONFIG.run.sets,
        )
        if path.split("/")[-4] in REDSHIFT_TASKS
    ]


if REDSHIFT_TASKS:

    rule tabulate_redshifts:
        """MAE, NMAD and catastrophic failures by model, beside the constant's MAE; and among the surest answers."""
        input:
            predictions=ancient(redshift_predictions()),
            digests=[f"{path}.sha256" for path in redshift_predictions()],
        output:
            csv=in_report(
                "<results>/tables/redshift_1.csv",
                "redshifts",
                "Imitation",
                shows="redshifts",
            ),
            rendered=multiext("<results>/tables/redshift_1", ".md", ".tex"),
            png="<results>/figures/redshift_1.png",
            svg="<results>/figures/redshift_1.svg",
            sure_csv="<results>/tables/redshift_2.csv",
            sure_rendered=multiext("<results>/tables/redshift_2", ".md", ".tex"),
            sure_png="<results>/figures/redshift_2.png",
            sure_svg="<results>/figures/redshift_2.svg",
        log:
            "<results>/logs/tabulate_redshifts.log",
        conda:
            ENV
        resources:
            mem_mb=grow(4000),
            runtime=grow(20),
        params:
            scripts=scripts_folder,
            settings=leaves(
                **queries.about_spectra(CONFIG, *REDSHIFT_TASKS),
            ),
            code_hash=code_hash("tabulate_redshifts"),
        shell:
            "python {params.scripts:q}/tabulate_redshifts.py --settings {params.settings:q}"
            " --predictions {input.predictions:q} --csv {output.csv:q} --png {output.png:q}"
            " --sure-csv {output.sure_csv:q} --sure-png {output.sure_png:q} 2>&1 | tee {log:q}"
