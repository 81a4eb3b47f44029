"""The rules of the house as functions: each takes a module and yields one line of text for each breach."""

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.support.sources import Module, functions, imports

_DOORS = frozenset({"open", "input", "print", "exec", "eval", "__import__"})
VALUE_BASES = frozenset({"NamedTuple", "StrEnum", "IntEnum"})  # of classes that hold values
_SETTERS = frozenset({"setattr", "delattr", "vars", "__setattr__", "__delattr__"})
OWN = frozenset({"trickles", "trickleweb", "apps", "benchmarks", "tests"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a module stands: it may import lower levels, and others of its own family (a name, "" for none)."""

    level: int
    family: str = ""
    core: bool = True  # touches neither sockets, clocks, entropy nor threads


Map = Mapping[str, Place]  # "package.module" -> its place; what lies inside a subpackage shares the subpackage's


def component(name: str, places: Map) -> str:
    """Return the key that a dotted name falls under: its longest beginning with a place, or the package itself."""
    parts = name.split(".")
    keys = (".".join(parts[:count]) for count in (3, 2))
    return next((key for key in keys if key in places), parts[0])


def has_a_place(module: Module, places: Map) -> Iterator[str]:
    """Every module of a package is named in the table of levels."""
    if ".".join(module.name.split(".")[:2]) not in places:
        yield f"{module.name} is not in LEVELS of tests/test_architecture.py: name the level where it belongs"


def imports_lower_levels(module: Module, places: Map) -> Iterator[str]:
    """A module imports only lower levels of its package, or its own family."""
    source = component(module.name, places)
    for each in imports(module):
        target = component(each.name, places)
        if each.root == module.root and target != source and not _may_import(places[source], places[target]):
            levels = f"level {places[target].level} from level {places[source].level}"
            yield f"{module.name}:{each.line} imports {each.name}, {levels}"


def _may_import(source: Place, target: Place) -> bool:
    return target.level < source.level or (source.family != "" and source.family == target.family)


def is_pure(module: Module, places: Map, world: frozenset[str]) -> Iterator[str]:
    """The core imports and calls nothing through which the world could be touched."""
    if places[component(module.name, places)].core:
        for each in imports(module):
            if each.root in world:
                yield f"{module.name}:{each.line} imports {each.root}, which the core does not touch"
        for node in module.nodes:
            if isinstance(node, ast.Call) and ast.unparse(node.func) in _DOORS:
                yield f"{module.name}:{node.lineno} calls {ast.unparse(node.func)}, which the core does not"


def imports_only_allowed_strangers(module: Module, importers: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Each third-party package has few importers, all named; `importers` maps it to them."""
    for each in imports(module):
        if each.root in OWN or each.root in sys.stdlib_module_names:
            continue
        if not any(_is_within(module.name, allowed) for allowed in importers.get(each.root, ())):
            yield f"{module.name}:{each.line} imports {each.root}, and is not among its importers"


def imports_only_faces(module: Module, package: str, faces: frozenset[str], places: Map) -> Iterator[str]:
    """What is imported of `package` lies on its public faces: modules of it, with the package itself among them."""
    for each in imports(module):
        if each.root == package and component(each.name, places) not in faces:
            yield f"{module.name}:{each.line} imports {each.name}, which is not a public face of {package}"


def never_imports(module: Module, packages: frozenset[str]) -> Iterator[str]:
    """None of `packages` is imported at all."""
    for each in imports(module):
        if each.root in packages:
            yield f"{module.name}:{each.line} imports {each.name}"


def imports_downwards(module: Module, package: str, floors: Sequence[str]) -> Iterator[str]:
    """A module of that package stands on one of its `floors`, lowest first, and imports lower ones of it only."""
    floor = {f"{package}.{name}": at for at, names in enumerate(floors) for name in names.split()}
    if module.name not in floor:
        yield f"{module.name} is on none of the floors of {package}"
        return
    for each in imports(module):
        target = each.name if each.name in floor else each.name.rpartition(".")[0]
        if floor.get(target, -1) >= floor[module.name]:
            yield f"{module.name}:{each.line} imports {target}, which is not below it"


def owns_what_it_assigns(module: Module) -> Iterator[str]:
    """Attributes are assigned through `self` only, so by one class each; that class inherits from none of ours."""
    for node in module.nodes:
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            target = node if isinstance(node, ast.Attribute) else node.value
            owner = target.value if isinstance(target, ast.Attribute) else None
            if owner is not None and not (isinstance(owner, ast.Name) and owner.id == "self"):
                yield f"{module.name}:{node.lineno} assigns to {ast.unparse(target)}, which is another's"
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in _SETTERS:
            yield f"{module.name}:{node.lineno} uses {ast.unparse(node.func)}"
        elif isinstance(node, ast.ClassDef):
            strange = {ast.unparse(base) for base in node.bases} - VALUE_BASES
            yield from (f"{module.name}:{node.lineno} {node.name} inherits from {base}" for base in sorted(strange))


def is_small(module: Module, max_lines: int, max_function_lines: int) -> Iterator[str]:
    """No file and no function is longer than allowed."""
    lines = len(module.text.splitlines())
    if lines > max_lines:
        yield f"{module.name} has {lines} lines, over {max_lines}: it holds two ideas"
    for each in functions(module):
        if each.lines > max_function_lines:
            yield f"{each.name}:{each.line} has {each.lines} lines, over {max_function_lines}"


def _is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def inherits_from_no_class_of(module: Module, package: str) -> Iterator[str]:
    """No class of `package` inherits from another of it: what they have in common they hold."""
    names = {node.name for node in module.nodes if isinstance(node, ast.ClassDef)}
    names |= {each.alias for each in imports(module) if _is_within(each.name, package)}
    for node in module.nodes:
        if isinstance(node, ast.Assign) and _first_name(node.value) in names:
            names |= {ast.unparse(each) for each in node.targets}
    for node in module.nodes:
        if isinstance(node, ast.ClassDef) and _is_within(module.name, package):
            for base in node.bases:
                name = _first_name(base)
                if name in names:
                    yield f"{module.name}:{node.lineno} {node.name} inherits from {name}"


def _first_name(node: ast.expr) -> str:
    return ast.unparse(node).partition("[")[0].partition(".")[0]


def reads_no_attribute_of(module: Module, names: frozenset[str]) -> Iterator[str]:
    """Nothing is reached through an attribute of one of these names: its owner has a method for it."""
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr in names:
            yield f"{module.name}:{node.lineno} reaches through .{node.value.attr} to .{node.attr}"


def acyclic(modules: Sequence[Module]) -> Iterator[str]:
    """Modules import each other in one direction, imports in functions and for type checking counted."""
    names = {module.name for module in modules}
    waiting = {module.name: _among(module, names) for module in modules}
    while leaves := [name for name, targets in waiting.items() if not targets & waiting.keys()]:
        for name in leaves:
            del waiting[name]
    yield from (f"{name} is on a circle, or leads to one: {sorted(waiting[name])}" for name in sorted(waiting))


def _among(module: Module, names: set[str]) -> set[str]:
    found = {each.name if each.name in names else each.name.rpartition(".")[0] for each in imports(module)}
    return (found & names) - {module.name}


def named_once(modules: Sequence[Module], allowed: Collection[str]) -> Iterator[str]:
    """A name is that of one class only, but for those that are `allowed`."""
    homes: dict[str, list[str]] = {}
    for module in modules:
        for node in module.nodes:
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(module.name)
    for name, where in sorted(homes.items()):
        if len(where) > 1 and name not in allowed:
            yield f"{name} is a class of {' and '.join(where)}"


def uncalled(modules: Sequence[Module], allowed: Collection[str]) -> Iterator[str]:
    """Every class, function and method is named somewhere besides its own body: in these modules, or by a face.

    Names are compared, not what they refer to: a method that shares its name with another may go unnoticed.
    """
    uses = _Uses()
    for module in modules:
        uses.of(module)
    for module in modules:
        for node in module.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                magic = node.name.startswith("__")
                if not magic and not uses.count[node.name] and node.name not in allowed:
                    yield f"{module.name}:{node.lineno} only tests use {node.name}"


class _Uses(ast.NodeVisitor):
    """How often each name is read outside the definition that has it; what a package offers in __all__ counts."""

    def __init__(self) -> None:
        self.count = Counter[str]()
        self._within: list[str] = []
        self._is_package = False

    def of(self, module: Module) -> None:
        self._is_package = module.is_package
        self.visit(module.tree)

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._within.append(node.name)
            self.generic_visit(node)
            self._within.pop()
            return
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            self._note(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            self._note(node.attr)
        elif isinstance(node, ast.Assign) and self._is_package and ast.unparse(node.targets[0]) == "__all__":
            for name in ast.literal_eval(node.value):
                self._note(name)
        self.generic_visit(node)

    def _note(self, name: str) -> None:
        if name not in self._within:
            self.count[name] += 1


RELATIVE = re.compile(
    r"(What|Who|Whom|Whose|Which|Whether|How|Why|When|Where|That|It|They|Those|Whatever|Whoever|Nobody|Somebody"
    r"|Something|The one|The same)\b"
)
STRANGE = re.compile(
    r"\b(anew|behind|beside|told|tells?|telling|stir(s|red)?|born|dies of|is said|lies? about|of theirs"
    r"|whoever|whomever)\b",
    re.IGNORECASE,
)


def plain_words(module: Module) -> Iterator[str]:
    """A docstring begins with a verb or a noun; it, comments, messages and names of definitions use plain words."""
    for node in module.nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node) or ""
            if found := RELATIVE.match(text):
                line = getattr(node, "lineno", 1)
                yield f"{module.name}:{line} a docstring begins with {found[0]!r}: say what it does or is"
            if not isinstance(node, ast.Module):
                yield from _strange(module, node.lineno, node.name.replace("_", " "))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield from _strange(module, node.lineno, node.value)
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type == tokenize.COMMENT:
            yield from _strange(module, token.start[0], token.string)


def _strange(module: Module, line: int, text: str) -> Iterator[str]:
    yield from (f"{module.name}:{line} says {found[0]!r}: use a plain word" for found in STRANGE.finditer(text))
