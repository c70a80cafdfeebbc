"""Models that answer by themselves: all that an answer needs, in the model's folder (docs/use-a-model.md)."""


def domain_settings(wildcards):
    """Whose labels' ranges are noted."""
    return leaves(task=queries.task_params(CONFIG.tasks[wildcards.task]))


rule learn_domain:
    """What the training spectra of a sample look like, for flags of spectra that are unlike them."""
    input:
        sample=ancient("<results>/samples/{task}/{size}.parquet"),
        labels=ancient("<results>/labels/{task}.parquet"),
        digests=[
            "<results>/samples/{task}/{size}.parquet.sha256",
            "<results>/labels/{task}.parquet.sha256",
        ],
        index=view_index,
    output:
        "<results>/domains/{task}/{size}.safetensors",
    log:
        "<results>/logs/learn_domain/{task}/{size}.log",
    wildcard_constraints:
        size=SAMPLE,
    conda:
        ENV
    resources:
        mem_mb=grow(4000),
        runtime=grow(30),
    params:
        scripts=scripts_folder,
        settings=domain_settings,
        code_hash=code_hash("learn_domain"),
    shell:
        "python {params.scripts:q}/learn_domain.py --settings {params.settings:q} --sample {input.sample:q}"
        " --labels {input.labels:q} --index {input.index:q} --out {output:q} 2>&1 | tee {log:q}"


def model_domain(wildcards):
    """What the training spectra of a model look like."""
    return f"<results>/domains/{wildcards.task}/{trained_sample_name(wildcards)}.safetensors"


def description_settings(wildcards):
    """What decides a model's answers, beside its weights: recipe, question, encoding, decoding."""
    model = variants.model_at(CONFIG, wildcards.model, wildcards.size)
    task = CONFIG.tasks[wildcards.task]
    view = View(task.view)
    encoding = getattr(model, "encoding", None)
    return leaves(
        name=wildcards.model,
        size=wildcards.size,
        task=wildcards.task,
        question=queries.grouped_task_params(task),
        model=queries.dump(model, exclude={"init", "transfer", "by_size"}),
        recipe=queries.dump(CONFIG.recipes[view.recipe]),
        survey=view.survey,
        release=CONFIG.surveys.named()[view.survey].release,
        encoding=encoding and queries.dump(CONFIG.encodings[encoding]),
    )


rule describe_model:
    """All that an answer needs beside the weights: `model.json`, the region of the training spectra, a model card."""
    input:
        model="<results>/models/{task}/{model}/{size}/manifest.json",
        val=ancient("<results>/predictions/{task}/{model}/{size}/val.raw.parquet"),
        digest="<results>/predictions/{task}/{model}/{size}/val.raw.parquet.sha256",
        domain=model_domain,
    output:
        "<results>/models/{task}/{model}/{size}/model.json",
        "<results>/models/{task}/{model}/{size}/domain.safetensors",
        "<results>/models/{task}/{model}/{size}/README.md",
    log:
        "<results>/logs/describe_model/{task}/{model}/{size}.log",
    conda:
        ENV
    resources:
        mem_mb=grow(2000),
        runtime=grow(10),
    params:
        scripts=scripts_folder,
        settings=description_settings,
        code_hash=code_hash("describe_model"),
    shell:
        "python {params.scripts:q}/describe_model.py --settings {params.settings:q} --model {input.model:q}"
        " --val {input.val:q} --domain {input.domain:q} 2>&1 | tee {log:q}"


#: The models of `run:`, ready to answer.
DESCRIBED = built("<results>/models/{task}/{model}/{size}/model.json")
