"""Training: the demo's tiny base, QLoRA adapters of both stages, and the baselines."""


def base_qa(wildcards):
    """Training questions that a tiny base is pre-trained on (their answers stay unread)."""
    base = CONFIG.bases[wildcards.base]
    return qa_files(base.task, base.encoding, base.size, "train")


def base_settings(wildcards):
    """What decides a tiny base: its recipe, and the form of questions and answers."""
    base = CONFIG.bases[wildcards.base]
    return leaves(
        base=derive.dump(base),
        task=derive.asked(CONFIG.tasks[base.task]),
        encoding=derive.dump(CONFIG.encodings[base.encoding]),
        wavelength=derive.dump(CONFIG.spectra.wavelength),
    )


def llm_qa(wildcards, split):
    """One split's questions and answers in the model's own encoding."""
    return qa_files(
        wildcards.task, CONFIG.models[wildcards.model].encoding, wildcards.size, split
    )


def llm_train_qa(wildcards):
    """Training questions of the model."""
    return llm_qa(wildcards, "train")


def llm_val_qa(wildcards):
    """Validation questions of the model."""
    return llm_qa(wildcards, "val")


def llm_base(wildcards):
    """The base's manifest, when this workflow makes the base."""
    name = CONFIG.models[wildcards.model].base
    return f"<results>/bases/{name}/manifest.json" if name in CONFIG.bases else []


def llm_base_name(wildcards):
    """The base as the training script loads it: a folder or a Hugging Face id."""
    name = CONFIG.models[wildcards.model].base
    return f"{CONFIG.results}/bases/{name}" if name in CONFIG.bases else name


def llm_start(wildcards):
    """Manifest of the model that training continues, if any."""
    start = derive.starts_from(CONFIG, wildcards.task, wildcards.model)
    return "<results>/models/{}/{}/{}/manifest.json".format(*start) if start else []


def llm_settings(wildcards):
    """What decides an adapter: the model without its decoding, the text's form, the grid."""
    model = CONFIG.models[wildcards.model]
    epochs = model.training.epochs
    settings = derive.dump(model, exclude={"decoding", "init"})
    settings["training"]["epochs"] = (
        epochs[wildcards.size] if isinstance(epochs, dict) else epochs
    )
    return leaves(
        model=settings,
        task=derive.asked(CONFIG.tasks[wildcards.task]),
        encoding=derive.dump(CONFIG.encodings[model.encoding]),
        wavelength=derive.dump(CONFIG.spectra.wavelength),
    )


def llm_gpus(wildcards):
    """GPUs of one training job."""
    return CONFIG.models[wildcards.model].training.gpus


def baseline_settings(wildcards):
    """What decides a baseline: its own settings, and which labels it learns."""
    return leaves(
        model=derive.dump(CONFIG.models[wildcards.model]),
        task=derive.asked(CONFIG.tasks[wildcards.task]),
        seed=CONFIG.seed,
    )


rule build_base:
    """A tiny Llama for demonstrations, pre-trained without labels on the flux of training stars."""
    input:
        base_qa,
    output:
        "<results>/bases/{base}/manifest.json",
    log:
        "<results>/logs/build_base/{base}.log",
    benchmark:
        "<results>/benchmarks/build_base/{base}.tsv"
    conda:
        ENV
    threads: 16
    resources:
        mem_mb=grow(6000),
        runtime=grow(60),
    params:
        settings=base_settings,
        state=f"{CONFIG.state_dir}/bases",
        code=code("build_base"),
    shell:
        "python workflow/scripts/build_base.py --settings {params.settings:q} --qa {input:q}"
        " --state {params.state:q} --threads {threads} --manifest {output:q} 2>&1 | tee {log}"


rule train_llm:
    """QLoRA fine-tuning; continues from its last good checkpoint, hands finished work back from the state folder."""
    input:
        train=llm_train_qa,
        val=llm_val_qa,
        base=llm_base,
        start=llm_start,
    output:
        "<results>/models/{task}/{model}/{size}/manifest.json",
    log:
        "<results>/logs/train_llm/{task}/{model}/{size}.log",
    benchmark:
        "<results>/benchmarks/train_llm/{task}/{model}/{size}.tsv"
    wildcard_constraints:
        model=one_of(ALL_LLMS),
    conda:
        ENV
    threads: 16
    resources:
        mem_mb=grow(16000),
        runtime=1440,
        gpu=llm_gpus,
    params:
        settings=llm_settings,
        base=llm_base_name,
        state=f"{CONFIG.state_dir}/train",
        code=code("train_llm"),
    shell:
        "python workflow/scripts/train_llm.py --settings {params.settings:q} --size {wildcards.size:q}"
        " --train {input.train:q} --val {input.val:q} --base {params.base:q} --start {input.start:q}"
        " --code {params.code} --state {params.state:q} --threads {threads} --manifest {output:q} 2>&1 | tee {log}"


rule train_baseline:
    """A baseline on the same sample and split."""
    input:
        sample="<results>/samples/{task}/{size}.parquet",
        labels="<results>/labels/{task}.parquet",
        spectra=all_spectra,
    output:
        "<results>/models/{task}/{model}/{size}/manifest.json",
    log:
        "<results>/logs/train_baseline/{task}/{model}/{size}.log",
    benchmark:
        "<results>/benchmarks/train_baseline/{task}/{model}/{size}.tsv"
    wildcard_constraints:
        model=one_of(BASELINES),
    conda:
        ENV
    resources:
        mem_mb=grow(8000),
        runtime=grow(120),
    params:
        settings=baseline_settings,
        spectra=f"{CONFIG.results}/spectra",
        code=code("train_baseline"),
    shell:
        "python workflow/scripts/train_baseline.py --settings {params.settings:q} --sample {input.sample:q}"
        " --labels {input.labels:q} --spectra {params.spectra:q} --manifest {output:q} 2>&1 | tee {log}"


localrules:
    train,


rule train:
    """Target: every model of `run:`."""
    input:
        built("<results>/models/{task}/{model}/{size}/manifest.json"),
