"""What Snakemake's own errors leave out.  Comes last: it knows all rules."""

from snakemake.logging import logger

from starglot.workflow.advice import Advice


def makes(path):
    """Whether a rule makes the file of that path."""
    return any(rule.is_producer(path) for rule in workflow.rules)


logger.addFilter(
    Advice(
        targets=[
            *(rule.name for rule in workflow.rules),
            *(
                str(out)
                for rule in workflow.rules
                for out in rule.output
                if not rule.wildcard_names
            ),
        ],
        words=[
            *CONFIG.tasks,
            *CONFIG.encodings,
            *CONFIG.bases,
            *CONFIG.models,
            *(size for task in CONFIG.tasks.values() for size in task.sample.sizes),
            *(
                part
                for rule in workflow.rules
                for out in rule.output
                for part in str(out).split("/")
            ),
        ],
        makes=makes,
    )
)
