"""Syntax trees without what reaches no result: words, and what a reader or a type checker alone looks at.

Left out are comments and formatting (never in a tree), docstrings, annotations of functions and of variables,
descriptions of settings, help texts, the words that a Literal allows (a setting is checked against them before any
job), log calls and warnings, titles of progress bars, and the words of errors that end a job.
"""

from __future__ import annotations

import ast
from typing import TypeVar

_Block = TypeVar("_Block", ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_Function = TypeVar("_Function", ast.FunctionDef, ast.AsyncFunctionDef)

#: Errors that end a job: nothing of them reaches a result (starglot.errors).
ERRORS = frozenset({"StarglotError"})
#: Objects whose calls, made for their own sake, write to the log.
LOGS = frozenset({"log", "logger", "logging", "warnings"})
#: Arguments that are words for a reader, by the function that takes them.
WORDS = {
    "Field": {"description", "title", "examples"},
    "tqdm": {"desc", "unit"},
    "add_argument": {"help", "metavar"},
    "ArgumentParser": {"description", "epilog"},
    "parser": {"description", "epilog"},
}
#: Decorators that do not look at annotations of what they decorate.
PLAIN_DECORATORS = frozenset(
    {"property", "staticmethod", "classmethod", "contextmanager", "cache", "cached_property", "lru_cache", "overload"}
)


#: Statements of which none may be left.
_BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.ExceptHandler)


def stripped(tree: ast.Module, *, keep_messages: bool = False) -> ast.Module:
    """``tree``, changed in place, without what reaches no result.

    keep_messages: leave log calls and the words of errors in, to find what they call while a job runs.
    """
    bare: ast.Module = _Strip(keep_messages).visit(tree)
    return bare


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below one, without those that hold nothing: :func:`ast.iter_child_nodes` quicker.

    Every node of the package is looked at several times whenever a run is planned.
    """
    found: list[ast.AST] = []
    for value in vars(node).values():
        if isinstance(value, ast.AST):
            if value._fields:
                found.append(value)
        elif isinstance(value, list):
            found += [each for each in value if isinstance(each, ast.AST) and each._fields]
    return found


def called_name(call: ast.Call) -> str:
    """The last part of the name of what is called, '' for anything else."""
    function = call.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


class _Strip(ast.NodeTransformer):
    def __init__(self, keep_messages: bool):
        self._keep, self._in_class = keep_messages, False

    def visit_Module(self, node: ast.Module) -> ast.Module:
        return self._without_docstring(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        outer, self._in_class = self._in_class, True
        node = self._without_docstring(node)
        self._in_class = outer
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        return self._function(node)

    def _function(self, node: _Function) -> _Function:
        if all(_decorator(each) in PLAIN_DECORATORS for each in node.decorator_list):
            node.returns = None
            rest: list[ast.arg] = [one for one in (node.args.vararg, node.args.kwarg) if one is not None]
            for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, *rest]:
                argument.annotation = None
        outer, self._in_class = self._in_class, False
        node = self._without_docstring(node)
        self._in_class = outer
        return node

    def _without_docstring(self, node: _Block) -> _Block:
        first = node.body[0] if node.body else None
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            node.body = node.body[1:]
        self.generic_visit(node)
        if not node.body and not isinstance(node, ast.Module):
            node.body = [ast.Pass()]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        if self._in_class:  # of a dataclass or of settings: what a field is
            return node
        if node.value is None:
            return None
        return ast.copy_location(ast.Assign(targets=[node.target], value=node.value), node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        words = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if (
            isinstance(node.value, ast.Name)
            and node.value.id == "Literal"
            and all(isinstance(word, ast.Constant) and isinstance(word.value, str) for word in words)
        ):
            return node.value
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        name = called_name(node)
        if name in ERRORS and not self._keep:
            node.args, node.keywords = [], []
        if name in WORDS:
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in WORDS[name]]
        self.generic_visit(node)
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        node.msg = None
        self.generic_visit(node)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        call = node.value
        if (
            not self._keep
            and isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id in LOGS
        ):
            return None
        self.generic_visit(node)
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        # A block whose only statement was a message.
        if isinstance(node, _BLOCKS) and not node.body:
            node.body = [ast.Pass()]
        return node


def _decorator(node: ast.expr) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
