"""What the text of a module says: its tree, the names that it uses as it runs and those it defines."""

from __future__ import annotations

import ast
from functools import cache


@cache
def parsed(text: str) -> ast.Module:
    """The syntax tree of a module's text, without its docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                if ast.get_docstring(node, clean=False) is not None:
                    del node.body[0]
    return tree


@cache
def running(text: str) -> tuple[ast.AST, ...]:
    """Imports, names and attributes of a module's text, but for those under ``if TYPE_CHECKING``."""
    found: list[ast.AST] = []
    queue: list[ast.AST] = [parsed(text)]
    while queue:
        node = queue.pop()
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Name | ast.Attribute):
            found.append(node)
        if isinstance(node, ast.If) and _names_type_checking(node.test):
            queue += node.orelse
        else:
            queue += ast.iter_child_nodes(node)
    return tuple(found)


def _names_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def defined(tree: ast.Module) -> set[str]:
    """Names that a module binds at its top level, other than by imports, and those every module has."""
    found = {"__doc__", "__file__", "__name__", "__path__"}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        else:
            names = (each for each in ast.walk(node) if isinstance(each, ast.Name))
            found |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
    return found
