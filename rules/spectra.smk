"""Cleaned spectra, a shard (one LAMOST plate) at a time."""


rule clean_shard:
    """Mask, normalise and resample one plate's spectra; what cannot be cleaned is listed with its reason."""
    input:
        "<results>/catalog/selected/{shard}.parquet",
    output:
        spectra="<results>/spectra/{shard}.parquet",
        rejected="<results>/spectra/{shard}.rejected.parquet",
    log:
        "<results>/logs/clean_shard/{shard}.log",
    benchmark:
        "<results>/benchmarks/clean_shard/{shard}.tsv"
    conda:
        ENV
    threads: 1
    resources:
        mem_mb=grow(1500),
        runtime=grow(20),
    params:
        settings=leaves(recipe=derive.dump(CONFIG.spectra)),
        root=CONFIG.surveys.lamost.spectra,
        code=code("clean_shard"),
    shell:
        "python workflow/scripts/clean_shard.py --settings {params.settings:q} --selected {input:q}"
        " --root {params.root:q} --workers {threads} --spectra {output.spectra:q}"
        " --rejected {output.rejected:q} 2>&1 | tee {log}"


localrules:
    clean,


rule clean:
    """Target: every cleaned shard."""
    input:
        all_spectra,
