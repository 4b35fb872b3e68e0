"""Import of PyTorch Geometric without what prediction does not need."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import ModuleType
from typing import Any

_DEFERRED = ("torch._dynamo", "torch_geometric.datasets")
"""Modules that ``torch_geometric`` imports at once, which takes longer than all the others."""


def import_graphs_only() -> None:
    """Import ``torch_geometric``, but torch's compiler and its data sets only on their first use.

    The deferred modules are loaded by the first access to one of their attributes or submodules,
    so that code which needs them finds them as usual.
    """
    if "torch_geometric" not in sys.modules:
        sys.meta_path.insert(0, _DeferringFinder())
        import torch_geometric  # noqa: F401


class _DeferringFinder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        loaded = sys.modules.get(fullname)
        if loaded is not None and fullname.startswith(tuple(f"{name}." for name in _DEFERRED)):
            # The import of this submodule asked for the package's path; thereby the package was
            # executed, and imported it.
            return ModuleSpec(fullname, _LoadedBefore(loaded))
        if fullname not in _DEFERRED:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _DeferredLoader(spec.loader)
        return spec


class _DeferredLoader(Loader):
    """Loader of a package that is executed by the first access to an attribute."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        path, lock, executing = module.__path__, RLock(), False
        del module.__path__  # an import of a submodule asks for it

        def load(name: str) -> Any:
            nonlocal executing
            with lock:  # other threads wait until the package is executed
                if name in vars(module):
                    return vars(module)[name]
                # Tools that go through all modules ask for such names: __wrapped__, for instance.
                special = name.startswith("__") and name != "__path__"
                executed = vars(module).get("__getattr__") is not load
                if special or executed or executing:
                    raise AttributeError(f"module '{module.__name__}' has no attribute '{name}'")
                executing = True
                module.__path__ = path
                try:
                    self._loader.exec_module(module)
                except BaseException:
                    del module.__path__  # the next access tries again
                    raise
                finally:
                    executing = False
                if vars(module).get("__getattr__") is load:
                    del module.__getattr__
                return getattr(module, name)

        module.__getattr__ = load


class _LoadedBefore(Loader):
    """Loader that gives a module as it is."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        with suppress(AttributeError):  # torch's configurations have had their own all along
            module.__spec__ = self._spec
