"""Hash of the code that a script runs: its own syntax tree and those of every package module it imports.

Snakemake notices an edited script but not an edited module behind it, and it notices a touched or
reformatted script although nothing changed.  A rule that carries this hash among its params reruns
exactly when the code it depends on has changed: comments, formatting and docstrings are left out.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import starglot

PACKAGE = starglot.__name__
#: What the script itself is called among the modules that it runs.
SCRIPT = "script"
SOURCE_ROOT = Path(starglot.__file__).parent.parent


def code_hash(script: str | Path) -> str:
    """16 hex digits for ``script`` and all modules of this package that it imports, transitively."""
    return hash_of_modules(code_modules(script))


def hash_of_modules(modules: Mapping[str, str]) -> str:
    """16 hex digits for modules and their own hashes."""
    listed = "".join(f"{module}\0{modules[module]}\n" for module in sorted(modules))
    return hashlib.sha256(listed.encode()).hexdigest()[:16]


def code_modules(script: str | Path) -> dict[str, str]:
    """Hash of each part of the code that ``script`` runs: 'script' itself, and every module of this package.

    Imports inside functions count; they are found in the text, nothing is imported.
    """
    tree = _parse(Path(script))
    modules = set[str]()
    todo = list(_imports(tree, module=None))
    while todo:
        module = todo.pop()
        if module not in modules:
            modules.add(module)
            todo += _module_imports(module)
    return {SCRIPT: _short(_dump(tree)), **{module: _module_hash(module) for module in sorted(modules)}}


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def _file(module: str) -> Path | None:
    path = SOURCE_ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _module_imports(module: str) -> tuple[str, ...]:
    file = _file(module)
    return tuple(_imports(_parse(file), module)) if file else ()


@cache
def _module_hash(module: str) -> str:
    file = _file(module)
    if not file:
        return ""
    return _short(_dump(_parse(file)) + (_package_data(file.parent) if file.name == "__init__.py" else ""))


def _package_data(folder: Path) -> str:
    """Digest of the files that a package carries beside its code (templates), if any."""
    carried = [
        path
        for part in [
            folder,
            *(sub for sub in folder.iterdir() if sub.is_dir() and not (sub / "__init__.py").exists()),
        ]
        for path in part.iterdir()
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    return "".join(f"\0{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in sorted(carried))


def _imports(tree: ast.Module, module: str | None) -> list[str]:
    """Package modules named by import statements anywhere in ``tree``, with their parent packages."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level and module:
                file = _file(module)
                depth = node.level - (1 if file and file.name == "__init__.py" else 0)
                parents = module.split(".")[: len(module.split(".")) - depth]
                base = ".".join([*parents, base] if base else parents)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    found = set[str]()
    for name in names:
        parts = name.split(".")
        if parts[0] == PACKAGE:
            found.update(".".join(parts[:n]) for n in range(1, len(parts) + 1))
    return sorted(name for name in found if _file(name) and name != module)


def _dump(tree: ast.Module) -> str:
    """The syntax tree as text, docstrings dropped (comments and formatting are not in it)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:]
    return ast.dump(tree)
