"""Models carried from one survey to another, in a run with tasks at which any goes on from another view (docs/transfer.md)."""


def transfer_predictions():
    """Prediction tables of these tasks: all models, sizes and sets of `run:`."""
    return [
        path
        for path in built(
            "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
            set=CONFIG.run.sets,
        )
        if path.split("/")[-4] in TRANSFER_TASKS
    ]


if TRANSFER_TASKS:

    rule tabulate_transfer:
        """R2 and scatter by strategy, of metal-poor and metal-rich stars apart, beside the paper's numbers."""
        input:
            predictions=ancient(transfer_predictions()),
            digests=[f"{path}.sha256" for path in transfer_predictions()],
        output:
            csv=in_report(
                "<results>/tables/transfer_1.csv",
                "transfer",
                "Imitation",
                shows="transfer",
            ),
            rendered=multiext("<results>/tables/transfer_1", ".md", ".tex"),
        log:
            "<results>/logs/tabulate_transfer.log",
        conda:
            ENV
        resources:
            mem_mb=grow(4000),
            runtime=grow(20),
        params:
            scripts=scripts_folder,
            settings=leaves(
                release=queries.release_of(CONFIG, *TRANSFER_TASKS),
                mock=CONFIG.mock is not None,
                strategies=starts.strategies(CONFIG, TRANSFER_TASKS),
            ),
            code_hash=code_hash("tabulate_transfer"),
        shell:
            "python {params.scripts:q}/tabulate_transfer.py --settings {params.settings:q}"
            " --predictions {input.predictions:q} --csv {output.csv:q} 2>&1 | tee {log:q}"


localrules:
    transfer,


rule transfer:
    """Target: the table of strategies, and by size and seed the sweep of `scaling:` over these tasks."""
    input:
        ["<results>/tables/transfer_1.csv"] if TRANSFER_TASKS else [],
        expand(
            [
                "<results>/tables/scaling_{task}.csv",
                "<results>/figures/scaling_{task}.png",
            ],
            task=[task for task in CONFIG.scaling.tasks if task in TRANSFER_TASKS],
        ),
