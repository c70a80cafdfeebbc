"""Input functions of the targets beside `all`: the scaling sweep and the degradation table."""


def swept(pattern):
    """Input function: `pattern` for every model and size of the scaling sweep, with the common test set as `set`."""

    def paths(wildcards):
        derive.sweep_test_size(
            CONFIG, wildcards.task
        )  # says what is missing where there is nothing to sweep
        return [
            pattern.format(
                task=wildcards.task,
                model=model,
                size=size,
                set=derive.sweep_set(CONFIG, wildcards.task, size),
            )
            for model in derive.sweep_models(CONFIG)
            for size in derive.sweep_sizes(CONFIG, wildcards.task)
        ]

    return paths


sweep_predictions = swept(
    "<results>/predictions/{task}/{model}/{size}/{set}.raw.parquet"
)
sweep_manifests = swept("<results>/models/{task}/{model}/{size}/manifest.json")


def sweep_samples(wildcards):
    """The samples of the scaling sweep."""
    return [
        f"<results>/samples/{wildcards.task}/{size}.parquet"
        for size in derive.sweep_sizes(CONFIG, wildcards.task)
    ]


def unaltered_sample(wildcards):
    """The sample whose test spectra are altered: the task's largest."""
    size = derive.sizes_of(CONFIG, wildcards.task)[-1]
    return f"<results>/samples/{wildcards.task}/{size}.parquet"


def altered_predictions(sets):
    """Input function: predictions of some sets by all models of a task's largest size."""

    def paths(wildcards):
        return expand(
            "<results>/predictions/{task}/{model}/{size}/{set}.parquet",
            task=wildcards.task,
            model=CONFIG.run.models,
            size=derive.sizes_of(CONFIG, wildcards.task)[-1],
            set=sets,
        )

    return paths
