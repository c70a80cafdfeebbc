"""Modules cut into their top-level definitions, and what each definition names.

A definition is a function, a class, or a variable of a module; a registry (:mod:`starglot.registry`) is cut further,
into its entries.  What a definition names is found in the text: nothing is imported.  Names that a function binds
itself are its own; a name that may stand for several things stands for all of them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from starglot.workflow.provenance.noted import Notes
from starglot.workflow.provenance.strip import called_name, children, stripped
from starglot.workflow.provenance.trees import (
    COMPREHENSIONS,
    bound_in,
    chain_of,
    digest,
    dumped,
    emptied,
    entries_of,
    imports_in,
    stored_in,
)

#: What a module is cut into, or reached by: a definition, an entry of a registry (None: one that is not named), a
#: whole module, an import of a module, or the files that a package carries beside its code.
DEFINITION, ENTRY, WHOLE, IMPORT, DATA = "definition", "entry", "whole", "import", "data"

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, order=True)
class Reference:
    """Something of the package that a piece of code names: its kind (above), module, name and registry entry."""

    kind: str
    module: str
    name: str = ""
    entry: str | None = None


@dataclass
class Package:
    """The modules of one package, read when first asked for.

    root: folder that holds the package's folder; name: its name; messages: leave in what log calls and errors name;
    noted: note what is found beside the compiled modules, and read it there as long as it holds.
    """

    root: Path
    name: str
    messages: bool = False
    noted: bool = False
    _modules: dict[str, Module] = field(default_factory=dict)
    _files: dict[str, Path | None] = field(default_factory=dict)

    def file(self, module: str) -> Path | None:
        """The file of a module, None where there is no such module."""
        if module not in self._files:
            path = self.root.joinpath(*module.split("."))
            candidates = (path.with_suffix(".py"), path / "__init__.py")
            self._files[module] = next((file for file in candidates if file.is_file()), None)
        return self._files[module]

    def module(self, name: str) -> Module:
        """A module that is there (see :meth:`file`)."""
        if name not in self._modules:
            file = self.file(name)
            assert file is not None
            self._modules[name] = Module(self, name, file)
        return self._modules[name]

    def text(self, file: Path) -> str:
        """The source of a module."""
        return file.read_text(encoding="utf-8")

    @cached_property
    def notes(self) -> Notes:
        """What was found in modules that are as they were."""
        return Notes([self.name, str(self.messages), *self.names()])

    def names(self) -> list[str]:
        """Every module of the package, sorted."""
        found = (path.relative_to(self.root).with_suffix("").parts for path in (self.root / self.name).rglob("*.py"))
        return sorted(".".join(parts[:-1] if parts[-1] == "__init__" else parts) for parts in found)


class Module:
    """One module, or a script that imports from the package."""

    def __init__(self, package: Package, name: str, file: Path):
        self.package, self.name, self.file = package, name, file
        source = package.text(file)
        known = package.notes.read(file, source) if package.noted else None
        if known is not None:
            self._recall(known)
            return
        self._analyse(source)
        if package.noted:
            package.notes.write(file, source, self._found())

    def _analyse(self, source: str) -> None:
        package = self.package
        tree = stripped(ast.parse(source, filename=str(self.file)), keep_messages=package.messages)
        #: Local name -> what it may be imported from: (module, name in it, or None for the module itself).
        self.imports: dict[str, set[tuple[str, str | None]]] = {}
        #: Modules that are imported when this one is.
        self.imported: set[str] = set()
        # Name -> the statements that make it; registry -> entry -> its value; statements that run when the module is
        # imported, and name nothing.
        self._made: dict[str, list[ast.stmt]] = {}
        self._entries: dict[str, dict[str, ast.expr]] = {}
        self._at_import: list[ast.stmt] = []
        for node in imports_in(tree):
            for local, target in self._targets(node):
                self.imports.setdefault(local, set()).add(target)
        for statement in tree.body:
            self._take(statement)
        #: Names of the definitions, and of each registry's entries.
        self.definitions = frozenset(self._made)
        self.registries = {name: tuple(entries) for name, entries in self._entries.items()}
        parts: dict[tuple[str, str | None], Sequence[ast.AST]] = {(name, None): it for name, it in self._made.items()}
        parts |= {(name, entry): [it] for name, all_ in self._entries.items() for entry, it in all_.items()}
        texts = {key: dumped(nodes) for key, nodes in parts.items()}
        self._digests = {key: digest(text) for key, text in texts.items()}
        self._named = {key: self._named_by(nodes) for key, nodes in parts.items()}
        #: What is named by what runs at import and is no definition; its digest, '' where there is none.
        self.named_at_import = self._named_by(self._at_import)
        at_import = dumped(self._at_import)
        self.digest_at_import = digest(at_import) if at_import else ""
        #: Digest of the whole module, but for the entries of its registries.
        self.digest = digest(at_import + "".join(texts[name, None] for name in sorted(self.definitions)))
        # While a run lasts, nobody needs the trees any more, which are a tenth of the memory that planning takes.
        del self._made, self._entries, self._at_import

    def _found(self) -> dict[str, Any]:
        """All of it, in the plain types of :mod:`marshal`."""
        named = {key: _plain(references) for key, references in self._named.items()}
        rest = {name: value for name, value in vars(self).items() if name not in ("package", "name", "file")}
        return {**rest, "_named": named, "named_at_import": _plain(self.named_at_import)}

    def _recall(self, found: dict[str, Any]) -> None:
        vars(self).update(found)
        self._named = {key: _references(plain) for key, plain in found["_named"].items()}
        self.named_at_import = _references(found["named_at_import"])

    @property
    def is_package(self) -> bool:
        """Whether this is a package's own module."""
        return self.file.name == "__init__.py"

    @property
    def parents(self) -> list[str]:
        """The packages that hold it, outermost first: they are imported before it."""
        parts = self.name.split(".")
        return [".".join(parts[:n]) for n in range(1, len(parts))]

    def digest_of(self, definition: str, entry: str | None = None) -> str:
        """Digest of a definition's syntax tree: of a registry, what stands around its entries, or one of them."""
        return self._digests[definition, entry]

    def named_in(self, definition: str, entry: str | None = None) -> frozenset[Reference]:
        """What a definition names, or an entry of a registry."""
        return self._named[definition, entry]

    def _named_by(self, nodes: Iterable[ast.AST]) -> frozenset[Reference]:
        finder = _Names(self)
        for node in nodes:
            finder.visit(node)
        return frozenset(finder.found)

    # ------------------------------------------------------------ cutting

    def _take(self, node: ast.stmt) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._define(node.name, node)
            if any(self._is_of_package(each) for each in node.decorator_list):
                self._at_import.append(node)  # it may be handed to others there
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = list(stored_in(targets))
            for name in names:
                self._define(name, node)
            if not names:
                self._at_import.append(node)
            entries = entries_of(node)
            if entries is not None and len(names) == 1:
                self._entries[names[0]] = entries
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self.imported |= self._modules_of(node)
        elif isinstance(node, ast.If):
            if "TYPE_CHECKING" not in ast.dump(node.test):
                self._take_all([*node.body, *node.orelse], node.test)
        elif isinstance(node, ast.Try):
            handled = [statement for handler in node.handlers for statement in handler.body]
            self._take_all([*node.body, *handled, *node.orelse, *node.finalbody])
        elif not isinstance(node, ast.Pass):
            for name in stored_in([node]):
                self._define(name, node)
            self._at_import.append(node)

    def _take_all(self, statements: Sequence[ast.stmt], condition: ast.expr | None = None) -> None:
        before = set(self._made)
        for statement in statements:
            self._take(statement)
        if condition is not None:  # what decides which definition holds is part of it
            for name in set(self._made) - before:
                self._made[name].append(ast.copy_location(ast.Expr(condition), condition))

    def _define(self, name: str, node: ast.stmt) -> None:
        self._made.setdefault(name, []).append(node if entries_of(node) is None else emptied(node))

    def _is_of_package(self, decorator: ast.expr) -> bool:
        return bool(self._named_by([decorator]))

    # ------------------------------------------------------------ imports

    def _targets(self, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, tuple[str, str | None]]]:
        package = self.package
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == package.name:
                    yield alias.asname or package.name, (alias.name if alias.asname else package.name, None)
            return
        base = self._base(node)
        if base.split(".")[0] != package.name:
            return
        for alias in node.names:
            if alias.name == "*":
                raise ValueError(f"{self.file}: 'import *' hides what a job's code is; import names")
            inner = f"{base}.{alias.name}"
            yield alias.asname or alias.name, ((inner, None) if package.file(inner) else (base, alias.name))

    def _base(self, node: ast.ImportFrom) -> str:
        base = node.module or ""
        if not node.level:
            return base
        parts = self.name.split(".")
        parts = parts[: len(parts) - node.level + (1 if self.is_package else 0)]
        return ".".join([*parts, base] if base else parts)

    def _modules_of(self, node: ast.Import | ast.ImportFrom) -> set[str]:
        """Modules of the package that an import statement runs."""
        if isinstance(node, ast.Import):
            return {alias.name for alias in node.names if alias.name.split(".")[0] == self.package.name}
        return {module for _, (module, _) in self._targets(node)}


class _Names(ast.NodeVisitor):
    """Collects what a piece of code names, scope by scope."""

    def __init__(self, module: Module):
        self.module, self.found = module, set[Reference]()
        self._own: list[set[str]] = []

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._resolve(node.id, [])

    def visit_Attribute(self, node: ast.Attribute) -> None:
        base, attributes = chain_of(node)
        if base is None:
            self.generic_visit(node)
        else:
            self._resolve(base, attributes)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        base, attributes = chain_of(node.value)
        if isinstance(key, str) and base is not None:
            self._resolve(base, attributes, key)
            return
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if called_name(node) in ("files", "PackageLoader"):  # importlib.resources, jinja2
            said = [
                word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str)
            ]
            inside = [name for name in said if self.module.package.file(name)]
            self.found.add(Reference(DATA, inside[0] if inside else _package_of(self.module)))
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.found |= {Reference(IMPORT, module) for module in self.module._modules_of(node)}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.found |= {Reference(IMPORT, module) for module in self.module._modules_of(node)}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node, [*node.decorator_list, *([node.returns] if node.returns else [])])

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node, [*node.decorator_list, *([node.returns] if node.returns else [])])

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node, [])

    def _function(self, node: _Function, around: Sequence[ast.expr]) -> None:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        arguments += [one for one in (node.args.vararg, node.args.kwarg) if one is not None]
        outside = [*around, *node.args.defaults, *(one for one in node.args.kw_defaults if one is not None)]
        for each in [*outside, *(one.annotation for one in arguments if one.annotation is not None)]:
            self.visit(each)
        body = node.body if isinstance(node.body, list) else [node.body]
        self._own.append({one.arg for one in arguments} | set(bound_in(body)))
        for statement in body:
            self.visit(statement)
        self._own.pop()

    def generic_visit(self, node: ast.AST) -> None:
        if isinstance(node, COMPREHENSIONS):
            self._own.append(set(stored_in([each.target for each in node.generators])))
        for each in children(node):
            self.visit(each)
        if isinstance(node, COMPREHENSIONS):
            self._own.pop()

    def visit_Constant(self, node: ast.Constant) -> None:
        """A forward reference of a class's field."""
        if isinstance(node.value, str) and node.value.isidentifier() and node.value in self.module._made:
            if isinstance(self.module._made[node.value][0], ast.ClassDef):
                self.found.add(Reference(DEFINITION, self.module.name, node.value))

    def _resolve(self, name: str, attributes: Sequence[str], key: str | None = None) -> None:
        if any(name in own for own in self._own):
            return
        module = self.module
        if name == "__file__":
            self.found.add(Reference(DATA, _package_of(module)))
        for target, inner in module.imports.get(name, ()):
            if inner is not None:
                self._add(target, inner, key if not attributes else None)
            else:
                self._walk(target, attributes, key)
        if name in module._made:
            self._add(module.name, name, key if not attributes else None)

    def _walk(self, module: str, attributes: Sequence[str], key: str | None) -> None:
        """Follow ``module.a.b.c`` as far as modules go, then to a definition."""
        rest = list(attributes)
        while rest and self.module.package.file(f"{module}.{rest[0]}"):
            module = f"{module}.{rest.pop(0)}"
        if rest:
            self._add(module, rest[0], key if len(rest) == 1 else None)
        else:
            self.found.add(Reference(WHOLE, module))

    def _add(self, module: str, name: str, key: str | None) -> None:
        self.found.add(Reference(DEFINITION, module, name, key))


def _package_of(module: Module) -> str:
    return module.name if module.is_package else module.name.rpartition(".")[0]


def _plain(references: Iterable[Reference]) -> list[tuple[str, str, str, str | None]]:
    return [(one.kind, one.module, one.name, one.entry) for one in references]


def _references(plain: Iterable[tuple[str, str, str, str | None]]) -> frozenset[Reference]:
    return frozenset(Reference(*one) for one in plain)
