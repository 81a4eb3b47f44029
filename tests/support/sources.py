"""Python sources as data: which modules there are, what they import, and how long their functions are."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Module:
    """One source file under its dotted name; a package goes by the name of its folder."""

    name: str
    text: str
    is_package: bool = False

    @property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return _parsed(self.text, self.name)

    @property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes of the tree, as `ast.walk` yields them; kept for the module asked last."""
        return _walked(self.text, self.name)

    @property
    def root(self) -> str:
        """The first part of the name: the distribution's package, or `tests`."""
        return self.name.partition(".")[0]


@lru_cache(maxsize=1)
def _parsed(text: str, name: str) -> ast.Module:
    return ast.parse(text, name)


@lru_cache(maxsize=1)
def _walked(text: str, name: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(_parsed(text, name)))


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name, absolute and dotted; `from a import b` is `a.b`, whether b is a module or not."""

    name: str
    line: int
    alias: str  # the name by which the module knows it

    @property
    def root(self) -> str:
        """The first part of the name."""
        return self.name.partition(".")[0]


def load(root: Path, folder: str) -> list[Module]:
    """Read every module below `root / folder`, in the order of their paths."""
    return [_module(root, path) for path in sorted((root / folder).rglob("*.py"))]


def _module(root: Path, path: Path) -> Module:
    parts = path.relative_to(root).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    return Module(".".join(parts[:-1] if is_package else parts), path.read_text("utf-8"), is_package)


def imports(module: Module) -> Iterator[Import]:
    """Yield all that a module imports anywhere in it, also inside functions and for type checking only."""
    for node in module.nodes:
        if isinstance(node, ast.Import):
            yield from (Import(each.name, node.lineno, each.asname or each.name) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(module, node)
            yield from (Import(f"{base}.{each.name}", node.lineno, each.asname or each.name) for each in node.names)


def _base(module: Module, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    climb = node.level - 1 if module.is_package else node.level
    parts = module.name.split(".")
    return ".".join([*parts[: len(parts) - climb], *([node.module] if node.module else [])])


@dataclass(frozen=True, slots=True)
class Function:
    """A function with its length in lines, signature included, docstring and decorators not."""

    name: str
    line: int
    lines: int


def functions(module: Module) -> Iterator[Function]:
    """Yield every function with a body of its own: `...` in protocols and overloads would only flatter the median."""
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _is_empty(node):
            length = (node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node)
            yield Function(f"{module.name}.{node.name}", node.lineno, length)


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    if ast.get_docstring(node) is None:
        return 0
    return (first.end_lineno or first.lineno) - first.lineno + 1


def _is_empty(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return all(isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) for each in node.body)
