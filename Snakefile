"""Starglot: from survey FITS files to residual tables.  docs/architecture.md draws the way through."""

from snakemake.utils import min_version

min_version("9.14")


# Found from any working directory, as the scripts are.
configfile: f"{workflow.basedir}/config/config.yaml"


report: "workflow/report/workflow.rst"


include: "rules/common.smk"
include: "rules/inputs.smk"
include: "rules/beside.smk"
include: "rules/settings.smk"


pathvars:
    results=CONFIG.results,


include: "rules/mock.smk"
include: "rules/catalog.smk"
include: "rules/spectra.smk"
include: "rules/samples.smk"
include: "rules/language.smk"
include: "rules/external.smk"
include: "rules/models.smk"
include: "rules/predictions.smk"
include: "rules/evaluation.smk"
include: "rules/figures.smk"
include: "rules/degradation.smk"
include: "rules/scaling.smk"
include: "rules/report.smk"


rule all:
    """Everything that `run:` asks for: tables, figures and the report."""
    default_target: True
    input:
        rules.tables.input,
        "<results>/report.html",


include: "rules/advice.smk"
