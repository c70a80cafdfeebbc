"""The code that a script runs: the definitions of this package that it reaches by name, each with a hash.

Snakemake notices an edited script, not an edited module behind it, and it notices a script that was only touched.  A
rule that carries a hash of its code among its params runs again exactly when a definition that its script reaches has
changed: not for comments, messages and descriptions (:mod:`.strip`), nor for other definitions of the same modules.

A script reaches what its statements name; a definition reaches what it names in turn, over the borders of modules.
Whatever is imported on the way, runs: statements of a module that name nothing count for all who import it.  What is
picked by a name that is known only when the job runs stands in a registry (:mod:`starglot.registry`), and the job is
told which entries it picks; told nothing, it depends on all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

import starglot
from starglot.workflow.provenance.modules import (
    DATA,
    DEFINITION,
    ENTRY,
    IMPORT,
    WHOLE,
    Module,
    Package,
    Reference,
)
from starglot.workflow.provenance.trees import digest

#: What the script itself is called among the definitions that it runs.
SCRIPT = "script"
PACKAGE = Package(Path(starglot.__file__).parent.parent, starglot.__name__, noted=True)
#: Modules of what is said and not computed: arguments, logs and messages.
SAID = frozenset({"cli", "errors"})

#: Registry -> the entries of it that a job picks.
Picked = Mapping[str, Collection[str]]


def code_definitions(script: str | Path, picked: Picked | None = None, package: Package = PACKAGE) -> dict[str, str]:
    """Hash of each part of the code that ``script`` runs: 'script' itself, and 'module:name' of this package.

    picked: what the job picks from registries, by the registry's name; those that are not named count whole.
    Further parts are ``module:name[entry]``, ``module:(import)`` and ``module:(files)``.
    """
    module = Module(package, SCRIPT, Path(script))
    parts = {_part(one): _hash(module, one) for one in reached(module, picked or {}) if not _is_own(one)}
    return {SCRIPT: module.digest, **parts}


def _is_own(one: Reference) -> bool:
    return one.module == SCRIPT and one.kind != ENTRY


def hash_of(definitions: Mapping[str, str]) -> str:
    """16 hex digits for definitions and their own hashes."""
    return digest("".join(f"{name}\0{definitions[name]}\n" for name in sorted(definitions)))


def reached(script: Module, picked: Picked) -> list[Reference]:
    """Everything that a script reaches, itself included, sorted."""
    package = script.package
    found: set[Reference] = set()
    entered: set[str] = set()
    todo = [Reference(DEFINITION, SCRIPT, name) for name in script.definitions]

    def enter(module: Module) -> None:
        """A module is imported: what it does then, and what it imports in turn."""
        if module.name in entered:
            return
        entered.add(module.name)
        if module.digest_at_import:
            found.add(Reference(IMPORT, module.name))
            todo.extend(module.named_at_import)
        for other in sorted({*module.parents, *module.imported}):
            if _counts(package, other):
                enter(package.module(other))

    enter(script)
    while todo:
        one = todo.pop()
        if (one in found and one.kind != DEFINITION) or not (one.module == SCRIPT or _counts(package, one.module)):
            continue
        module = _module(script, one.module)
        enter(module)
        if one.kind == WHOLE:
            todo.extend(Reference(DEFINITION, one.module, name) for name in module.definitions)
        elif one.kind == DATA:
            found.add(one)
        elif one.kind == ENTRY:
            found.add(one)
            todo.extend(module.named_in(one.name, one.entry))
        elif one.kind == DEFINITION and one.name not in module.definitions:
            for target, inner in module.imports.get(one.name, ()):  # passed on from elsewhere
                todo.append(Reference(DEFINITION, target, inner, one.entry) if inner else Reference(WHOLE, target))
        elif one.kind == DEFINITION:
            todo.extend(Reference(ENTRY, one.module, one.name, entry) for entry in _entries(module, one, picked))
            whole = Reference(DEFINITION, one.module, one.name)
            if whole not in found:
                found.add(whole)
                todo.extend(module.named_in(one.name))
    return sorted(found, key=_part)


def _counts(package: Package, module: str) -> bool:
    return module.partition(".")[2] not in SAID and package.file(module) is not None


def _module(script: Module, name: str) -> Module:
    return script if name == SCRIPT else script.package.module(name)


def _entries(module: Module, one: Reference, picked: Picked) -> list[str]:
    """Entries of a registry that are reached where it is named: the one that is, those picked, or all."""
    entries = module.registries.get(one.name, ())
    if one.entry in entries:
        return [str(one.entry)]
    return [name for name in entries if one.name not in picked or name in picked[one.name]]


def _part(one: Reference) -> str:
    name = {ENTRY: f"{one.name}[{one.entry}]", IMPORT: "(import)", DATA: "(files)"}.get(one.kind, one.name)
    return f"{one.module}:{name}"


def _hash(script: Module, one: Reference) -> str:
    module = _module(script, one.module)
    if one.kind == DATA:
        return _carried(module.file.parent)
    if one.kind == IMPORT:
        return module.digest_at_import
    return module.digest_of(one.name, one.entry if one.kind == ENTRY else None)


@cache
def _carried(folder: Path) -> str:
    """Hash of the files that a package carries beside its code (templates, tables)."""
    subfolders = (one for one in folder.iterdir() if one.is_dir() and not (one / "__init__.py").exists())
    files = [path for part in [folder, *subfolders] for path in part.iterdir() if path.is_file()]
    carried = sorted(path for path in files if path.suffix not in (".py", ".pyc"))
    return digest("".join(f"{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0" for path in carried))
