"""Cleaned spectra, a shard (one LAMOST plate) at a time."""


rule clean_shard:
    """Mask, normalise and resample one plate's spectra; what cannot be cleaned is listed with its reason."""
    input:
        "<results>/catalog/selected/{shard}.parquet",
    output:
        spectra="<results>/spectra/{shard}.parquet",
        rejected="<results>/spectra/{shard}.rejected.parquet",
        digests="<results>/spectra/{shard}.sha256",
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
        scripts=scripts_folder,
        settings=leaves(recipe=derive.dump(CONFIG.spectra)),
        root=spectra_root,
        code=code("clean_shard"),
    shell:
        "python {params.scripts:q}/clean_shard.py --settings {params.settings:q} --selected {input:q}"
        " --root {params.root:q} --workers {threads} --code {params.code:q} --spectra {output.spectra:q}"
        " --rejected {output.rejected:q} --digests {output.digests:q} 2>&1 | tee {log:q}"


localrules:
    index_spectra,
    clean,


rule index_spectra:
    """All shards in one small table of digests: what the rules that read spectra depend on, in place of each shard.

    What cleaning held beside the spectra, should a job be killed, is dropped: all shards are done.
    """
    input:
        shards="<results>/catalog/shards.txt",
        digests=all_spectra_digests,
    output:
        "<results>/spectra/index.tsv",
    log:
        "<results>/logs/index_spectra.log",
    conda:
        ENV
    resources:
        mem_mb=500,
        runtime=10,
    params:
        scripts=scripts_folder,
        code=code("index_spectra"),
    shell:
        "python {params.scripts:q}/index_spectra.py --settings '{{}}' --shards {input.shards:q}"
        " --out {output:q} 2>&1 | tee {log:q}"


rule clean:
    """Target: every cleaned shard."""
    input:
        "<results>/spectra/index.tsv",
        all_spectra,
