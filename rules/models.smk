"""Training: the demo's tiny base, QLoRA adapters of both stages, baselines and ensembles."""


localrules:
    fetch_base,


rule fetch_base:
    """Make sure that a base model of the hub is in the local cache, and note its revision and its files' digests.

    Runs where snakemake runs; jobs are offline.
    """
    output:
        "<results>/bases/{hub}.json",
    log:
        "<results>/logs/fetch_base/{hub}.log",
    conda:
        ENV
    resources:
        mem_mb=1000,
        runtime=240,
    params:
        scripts=scripts_folder,
        name=outside_base,
        revision=hub_revision,
        state=kept_in("bases"),
        code=code("fetch_base"),
    shell:
        "HF_HUB_OFFLINE=0 python {params.scripts:q}/fetch_base.py --base {params.name:q} --revision {params.revision:q}"
        " --state {params.state:q} --manifest {output:q} 2>&1 | tee {log:q}"


# A base in a folder of the user's is known by its content, too: it is read when a file's size or time is another, in a
# job of its own, as there may be tens of GB of it.
use rule fetch_base as read_base with:
    input:
        files=ancient(own_base_files),
    output:
        "<results>/bases/{own}.json",
    log:
        "<results>/logs/read_base/{own}.log",
    params:
        scripts=scripts_folder,
        name=outside_base,
        revision="",
        files=own_base_state,
        state=kept_in("bases"),
        code=code("fetch_base"),


rule build_base:
    """A tiny Llama for demonstrations, pre-trained without labels on the flux of training stars."""
    input:
        qa=ancient(base_qa),
        digests=base_qa_digest,
    output:
        "<results>/bases/{base}/manifest.json",
    log:
        "<results>/logs/build_base/{base}.log",
    benchmark:
        "<results>/benchmarks/build_base/{base}.tsv"
    priority: AWAITED
    conda:
        ENV
    threads: 16
    resources:
        mem_mb=grow(6000),
        runtime=grow(60),
    params:
        scripts=scripts_folder,
        settings=base_settings,
        state=kept_in("bases"),
        code=code("build_base"),
    shell:
        "python {params.scripts:q}/build_base.py --settings {params.settings:q} --qa {input.qa:q}"
        " --code {params.code:q} --state {params.state:q} --threads {threads} --manifest {output:q} 2>&1 | tee {log:q}"


rule train_llm:
    """QLoRA fine-tuning; continues from its last good checkpoint, hands finished work back from the state folder."""
    input:
        train=ancient(llm_train_qa),
        val=ancient(llm_val_qa),
        digests=llm_qa_digests,
        base=llm_base,
        start=llm_start,
    output:
        "<results>/models/{task}/{model}/{size}/manifest.json",
    log:
        "<results>/logs/train_llm/{task}/{model}/{size}.log",
    benchmark:
        "<results>/benchmarks/train_llm/{task}/{model}/{size}.tsv"
    wildcard_constraints:
        model=models_among(ALL_LLMS),
    priority: AWAITED
    conda:
        ENV
    threads: 16
    resources:
        mem_mb=grow(16000),
        runtime=1440,  # does not grow: a training that needs longer comes back by itself, from its checkpoint
        gpu=llm_gpus,
        nodes=llm_nodes,
        mpi=over_nodes("srun"),  # the launcher starts its own job step on every node
        tasks=over_nodes("nodes"),
        tasks_per_gpu=0,  # the launcher starts the processes, Slurm one task a node
        slurm_extra=llm_slurm,
    params:
        scripts=scripts_folder,
        settings=llm_settings,
        processes=llm_processes,
        base=llm_base_name,
        state=kept_in("train"),
        code=code("train_llm"),
    shell:
        "OMP_NUM_THREADS={threads} {params.scripts:q}/launch_training.sh {params.processes:q} {params.scripts:q}/train_llm.py"
        " --settings {params.settings:q} --size {wildcards.size:q}"
        " --train {input.train:q} --val {input.val:q} --base {params.base:q} --found {input.base:q}"
        " --continues {input.start:q} --code {params.code:q} --state {params.state:q} --threads {threads}"
        " --manifest {output:q} 2>&1 | tee {log:q}"


rule train_baseline:
    """A baseline on the same sample and split; networks and trees continue where they were killed."""
    input:
        sample=ancient(trained_sample),
        labels=ancient("<results>/labels/{task}.parquet"),
        digests=digests(trained_sample, "<results>/labels/{task}.parquet"),
        index="<results>/spectra/index.tsv",
    output:
        "<results>/models/{task}/{model}/{size}/manifest.json",
    log:
        "<results>/logs/train_baseline/{task}/{model}/{size}.log",
    benchmark:
        "<results>/benchmarks/train_baseline/{task}/{model}/{size}.tsv"
    wildcard_constraints:
        model=models_among(BASELINES),
    conda:
        ENV
    threads: tree_threads
    resources:
        mem_mb=grow(12000),
        runtime=1440,
        gpu=baseline_gpus,
    params:
        scripts=scripts_folder,
        script=baseline_script("train"),
        settings=baseline_settings,
        state=kept_in("baselines"),
        code=baseline_code("train"),
    shell:
        "python {params.scripts:q}/{params.script:q}.py --settings {params.settings:q} --sample {input.sample:q}"
        " --labels {input.labels:q} --index {input.index:q} --code {params.code:q} --state {params.state:q}"
        " --manifest {output:q} 2>&1 | tee {log:q}"


rule fit_ensemble:
    """Weights of an ensemble's members, by label, from their predictions of validation stars."""
    input:
        val=ancient(members_val),
        digests=digests(members_val),
    output:
        "<results>/models/{task}/{model}/{size}/manifest.json",
    log:
        "<results>/logs/fit_ensemble/{task}/{model}/{size}.log",
    wildcard_constraints:
        model=models_among(ENSEMBLES),
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(20),
    params:
        scripts=scripts_folder,
        settings=baseline_settings,
        code=code("fit_ensemble"),
    shell:
        "python {params.scripts:q}/fit_ensemble.py --settings {params.settings:q} --val {input.val:q}"
        " --manifest {output:q} 2>&1 | tee {log:q}"


localrules:
    train,


rule train:
    """Target: every model of `run:`."""
    input:
        built("<results>/models/{task}/{model}/{size}/manifest.json"),
