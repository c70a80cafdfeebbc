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


def shards(wildcards=None):
    """Names of the shards, known once the inventory has been taken."""
    listed = Path(checkpoints.inventory.get().output.shards)
    return listed.read_text(encoding="utf-8").split()


def all_spectra_digests(wildcards):
    """The digests of every shard's cleaned spectra."""
    return expand("<results>/spectra/{shard}.sha256", shard=shards())


localrules:
    index_spectra,


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


def all_spectra(wildcards):
    """The cleaned spectra of every shard."""
    return expand("<results>/spectra/{shard}.parquet", shard=shards())


localrules:
    clean,


rule clean:
    """Target: every cleaned shard."""
    input:
        "<results>/spectra/index.tsv",
        all_spectra,
