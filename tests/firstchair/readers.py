"""Attribute access in the source, for tests that no setting and no rule is left unread."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ("src", "dagster_project", "monitoring")


def modules(folders: tuple[str, ...] = SOURCE, *, without: str = "") -> Iterator[ast.Module]:
    """Every module of ours, parsed, but the one with that path."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if str(path.relative_to(ROOT)) != without:
                yield ast.parse(path.read_text())


def read_from(tree: ast.AST, owners: frozenset[str]) -> set[str]:
    """Names that are read as an attribute of one of these variables, attributes or calls."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        # A name that is only assigned to is not read.
        and isinstance(node.ctx, ast.Load)
        and _last_name(node.value) in owners
    }


def _last_name(node: ast.expr) -> str:
    """`settings` of `p.settings`, of `settings` and of `settings()`."""
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
