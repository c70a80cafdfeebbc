"""Which stars: labels of the cleaned spectra, and the samples drawn from them."""


rule collect_labels:
    """The labels of every cleaned spectrum that has any, by task."""
    input:
        selected=all_selected,
        spectra=all_spectra,
        shards="<results>/catalog/shards.txt",
        match=label_match,
    output:
        "<results>/labels/{task}.parquet",
    log:
        "<results>/logs/collect_labels/{task}.log",
    benchmark:
        "<results>/benchmarks/collect_labels/{task}.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(30),
    params:
        settings=label_settings,
        selected=f"{CONFIG.results}/catalog/selected",
        spectra=f"{CONFIG.results}/spectra",
        code=code("collect_labels"),
    shell:
        "python workflow/scripts/collect_labels.py --settings {params.settings:q} --shards {input.shards:q}"
        " --selected {params.selected:q} --spectra {params.spectra:q} --match {input.match:q}"
        " --out {output:q} 2>&1 | tee {log}"


rule draw_sample:
    """A task's selection of one size: balanced, nested, split by star."""
    input:
        "<results>/labels/{task}.parquet",
    output:
        sample="<results>/samples/{task}/{size}.parquet",
        manifest="<results>/samples/{task}/{size}.json",
    log:
        "<results>/logs/draw_sample/{task}/{size}.log",
    benchmark:
        "<results>/benchmarks/draw_sample/{task}/{size}.tsv"
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(20),
    params:
        settings=sample_settings,
        code=code("draw_sample"),
    shell:
        "python workflow/scripts/draw_sample.py --settings {params.settings:q} --labels {input:q}"
        " --size {wildcards.size:q} --out {output.sample:q} --manifest {output.manifest:q} 2>&1 | tee {log}"


localrules:
    samples,


rule samples:
    """Target: every sample of `run:`."""
    input:
        built("<results>/samples/{task}/{size}.parquet"),
