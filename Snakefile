"""Starglot: from survey FITS files to residual tables.  docs/architecture.md draws the way through."""

from snakemake.utils import min_version

min_version("9.27")


# Found from any working directory, as the scripts are.
configfile: f"{workflow.basedir}/config/config.yaml"


report: "workflow/report/workflow.rst"


include: "rules/setup.smk"
include: "rules/names.smk"
include: "rules/code.smk"
include: "rules/common.smk"


pathvars:
    results=CONFIG.results,


include: "rules/mock.smk"
include: "rules/catalog.smk"
include: "rules/spectra.smk"
include: "rules/samples.smk"
include: "rules/language.smk"
include: "rules/external.smk"
include: "rules/bases.smk"
include: "rules/pairs.smk"
include: "rules/training.smk"
include: "rules/predictions.smk"
include: "rules/patches.smk"
include: "rules/answers.smk"
include: "rules/targets.smk"
include: "rules/tables.smk"
include: "rules/comparison.smk"
include: "rules/figures.smk"
include: "rules/transfer.smk"
include: "rules/transfer_sizes.smk"
include: "rules/redshift.smk"
include: "rules/degradation.smk"
include: "rules/retention.smk"
include: "rules/scaling.smk"
include: "rules/ablation.smk"
include: "rules/catalogue.smk"
include: "rules/report.smk"


rule all:
    """Everything that `run:` asks for: tables, figures, the report, models that answer by themselves."""
    default_target: True
    input:
        rules.tables.input,
        DESCRIBED,
        "<results>/report.html",


include: "rules/advice.smk"
