"""Derived models: seeds, folds and passes of the configured ones; the scaling sweep over sizes (docs/scaling.md)."""


rule leave_out_fold:
    """A sample with the stars of one fold as its test split: what models named `<model>.f<fold>` learn from."""
    input:
        sample=ancient("<results>/samples/{task}/{size}.parquet"),
        digest="<results>/samples/{task}/{size}.parquet.sha256",
    output:
        sample="<results>/samples/{task}/{size}.f{fold}.parquet",
        digest="<results>/samples/{task}/{size}.f{fold}.parquet.sha256",
    log:
        "<results>/logs/leave_out_fold/{task}/{size}.f{fold}.log",
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        code=code("leave_out_fold"),
    shell:
        "python {params.scripts:q}/leave_out_fold.py --settings '{{}}' --sample {input.sample:q} --fold {wildcards.fold:q}"
        " --out {output.sample:q} 2>&1 | tee {log:q}"


rule tabulate_scaling:
    """Sigma of every model of the sweep at every size, and the laws sigma(N) that fit, as tables and a figure."""
    input:
        predictions=ancient(sweep_predictions),
        digests=digests(sweep_predictions),
        models=sweep_manifests,
        samples=ancient(sweep_samples),
        sample_digests=digests(sweep_samples),
    output:
        laws="<results>/tables/scaling_{task}.csv",
        points="<results>/tables/scaling_points_{task}.csv",
        rendered=multiext(
            "<results>/tables/",
            "scaling_{task}.md",
            "scaling_{task}.tex",
            "scaling_points_{task}.md",
            "scaling_points_{task}.tex",
        ),
        png="<results>/figures/scaling_{task}.png",
        svg="<results>/figures/scaling_{task}.svg",
    log:
        "<results>/logs/tabulate_scaling/{task}.log",
    benchmark:
        "<results>/benchmarks/tabulate_scaling/{task}.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(6000),
        runtime=grow(60),
    params:
        scripts=scripts_folder,
        settings=scaling_settings,
        code=code("tabulate_scaling"),
    shell:
        "python {params.scripts:q}/tabulate_scaling.py --settings {params.settings:q} --predictions {input.predictions:q}"
        " --models {input.models:q} --samples {input.samples:q} --points {output.points:q} --laws {output.laws:q}"
        " --png {output.png:q} 2>&1 | tee {log:q}"


rule tabulate_folds:
    """Cross-validation: mean and scatter over the folds, each tried by the model that left it out."""
    input:
        predictions=ancient(fold_predictions),
        digests=digests(fold_predictions),
    output:
        csv="<results>/tables/folds_{task}.csv",
        rendered=multiext("<results>/tables/folds_{task}", ".md", ".tex"),
    log:
        "<results>/logs/tabulate_folds/{task}.log",
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        settings=table_settings,
        code=code("tabulate_folds"),
    shell:
        "python {params.scripts:q}/tabulate_folds.py --settings {params.settings:q} --predictions {input.predictions:q}"
        " --csv {output.csv:q} 2>&1 | tee {log:q}"


localrules:
    scaling,


rule scaling:
    """Target: the scaling sweep of `scaling:`, its tables and figures."""
    input:
        expand("<results>/tables/scaling_{task}.csv", task=CONFIG.scaling.tasks),
