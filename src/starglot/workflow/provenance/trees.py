"""Syntax trees of modules: what they bind, import and register."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Sequence

from starglot.workflow.provenance.strip import called_name, children

#: Expressions with names of their own.
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_DEFINING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_CATCHING = (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
_SHARING = (ast.Global, ast.Nonlocal)
_INNER_SCOPES = (*_DEFINING, ast.Lambda)


def digest(text: str) -> str:
    """16 hex digits for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def dumped(nodes: Iterable[ast.AST]) -> str:
    """Syntax trees as text."""
    return "".join(map(ast.dump, nodes))


def chain_of(node: ast.expr) -> tuple[str | None, list[str]]:
    """``a.b.c`` as ('a', ['b', 'c']); None for what does not begin with a name."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.insert(0, node.attr)
        node = node.value
    return (node.id, attributes) if isinstance(node, ast.Name) else (None, [])


def imports_in(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import statement, in functions too."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif not isinstance(node, ast.expr):  # there are no statements in one
            todo += children(node)


def stored_in(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """Names that are bound in ``nodes`` by assignment."""
    for node in nodes:
        todo = [node]
        while todo:
            inner = todo.pop()
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                yield inner.id
            todo += children(inner)


def bound_in(body: Sequence[ast.AST]) -> Iterator[str]:
    """Names that a function's body makes its own: what it assigns or defines, not what it imports or calls global."""
    shared: set[str] = set()
    todo, own = list(body), []
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Store):
                own.append(node.id)
        elif isinstance(node, COMPREHENSIONS):  # := binds outside of them
            own += [inner.target.id for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr)]
        elif isinstance(node, _SHARING):
            shared |= set(node.names)
        elif isinstance(node, _DEFINING):
            own.append(node.name)
        elif isinstance(node, _CATCHING) and node.name:
            own.append(node.name)
        if not isinstance(node, COMPREHENSIONS) and not isinstance(node, _INNER_SCOPES):
            todo += children(node)
    yield from (name for name in own if name not in shared)


def _registry_call(node: ast.AST) -> ast.Call | None:
    value = node.value if isinstance(node, ast.Assign) else None
    is_one = isinstance(value, ast.Call) and called_name(value) == "Registry" and len(value.args) == 1
    return value if is_one and isinstance(value, ast.Call) and isinstance(value.args[0], ast.Dict) else None


def entries_of(node: ast.AST) -> dict[str, ast.expr] | None:
    """Entries of the registry that a statement makes; None for any other statement."""
    call = _registry_call(node)
    if call is None or not isinstance(call.args[0], ast.Dict):
        return None
    keys = [key.value if isinstance(key, ast.Constant) else None for key in call.args[0].keys]
    if not all(isinstance(key, str) for key in keys):
        return None
    return dict(zip(map(str, keys), call.args[0].values, strict=True))


def emptied(node: ast.stmt) -> ast.stmt:
    """The statement that makes a registry, without its entries."""
    call = _registry_call(node)
    assert isinstance(node, ast.Assign) and call is not None
    empty = ast.Call(call.func, [ast.Dict([], [])], call.keywords)
    return ast.copy_location(ast.Assign(node.targets, ast.copy_location(empty, call)), node)
