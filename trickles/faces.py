"""Public names of a package, imported at first use: who needs one module of it does not wait for all of them."""

from collections.abc import Callable, Mapping
from importlib import import_module


def at_first_use(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return a module's `__getattr__` (PEP 562); `homes` maps each public name to its module's name in the package."""

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return get
