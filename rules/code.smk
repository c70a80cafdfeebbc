"""What a job runs and reads from outside, as hashes: its code by definition, and the contents of the user's files."""

from functools import cache

from starglot.config.picked import picked
from starglot.fingerprint import Fingerprints
from starglot.provenance.code import code_definitions, hash_of
from starglot.rebuilds.accepted import kept_hashes
from starglot.rebuilds.explain import record_code

#: Code hash -> the definitions behind it, for every job that was looked at; jobs run once RUNNING says something.
CODE, RUNNING = {}, []


@cache
def code_of(script, names):
    """(hash of a script's code, wildcards -> hash that stands for it); `names`: what it picks from registries."""
    definitions = code_definitions(SCRIPTS / f"{script}.py", dict(names))
    now = hash_of(definitions)
    CODE[now] = definitions
    # A job on a cluster reads the code anew, edited meanwhile perhaps; what lies below the inventory is known late.
    if RUNNING or not workflow.is_main_process:
        record_code(Path(CONFIG.state_dir) / "code", now, definitions)
    return now, kept_hashes(ACCEPTED, script, now)


def code(script):
    """Hash of the code that a job of this script runs; a param of every rule.

    For a job whose result was accepted as current (docs/rebuilds.md), the hash of the code that made the result.
    """

    def hashed(wildcards):
        told = dict(wildcards.items())
        now, kept = code_of(script, tuple(picked(CONFIG, told).items()))
        return kept.get(frozenset(told.items()), now)

    return hashed


#: Digests of the user's catalogues; on disk only once jobs run.
FINGERPRINTS = Fingerprints(f"{CONFIG.state_dir}/fingerprints.json")


onstart:
    FINGERPRINTS.keep()
    RUNNING.append(True)
    for hashed, definitions in CODE.items():
        record_code(Path(CONFIG.state_dir) / "code", hashed, definitions)
