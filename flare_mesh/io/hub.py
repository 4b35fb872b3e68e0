"""Sharing of models on the Hugging Face hub."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

from flare_mesh.files import atomic_path

_CARD = """---
{{ card_data }}
---

# {{ class_name }}

A model of physical fields on meshes, written by flare-mesh. Load it with

```python
from {{ module }} import {{ class_name }}

model = {{ class_name }}.from_pretrained("{{ repo_id }}")
```

The weights are safetensors and the options JSON: no code is run from these files.
{{ details }}
"""


class HubMixin(ABC):
    """Methods of the hub for a class with its own ``save(folder)`` and ``load(folder)``.

    They are the methods of ``huggingface_hub.ModelHubMixin``, which is imported on first use, since
    its import takes longer than that of the models.
    """

    @abstractmethod
    def save(self, path: str | Path) -> None:
        """Write JSON and safetensors to the folder ``path``."""

    @classmethod
    @abstractmethod
    def load(cls, path: str | Path, *args: Any, **modules: Any) -> Any:
        """Read the files of :meth:`save`; no code is run from them."""

    def card_details(self) -> str:
        """Markdown text at the end of the model card."""
        return ""

    def save_pretrained(self, save_directory: str | Path, *, repo_id: str | None = None) -> None:
        """Save the model, and a model card ``README.md`` unless the folder has one.

        The card states no licence: add the one that you choose.

        Args:
            save_directory: The folder.
            repo_id: Name of the model in the card's example; by default that of the folder.

        Raises:
            ImportError: If ``huggingface_hub`` is not installed.
        """
        folder = Path(save_directory)
        bridge = _bridge()(self)
        self.save(folder)
        if not (folder / "README.md").exists():
            with atomic_path(folder / "README.md") as temporary:
                card = bridge.generate_model_card(repo_id=repo_id or folder.resolve().name)
                card.save(temporary)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        **modules: Any,
    ) -> Self:
        """Load a model from the hub, or from a folder, which does not need ``huggingface_hub``.

        Only JSON and safetensors are downloaded; no code is run from them.

        Args:
            pretrained_model_name_or_path: ``owner/name`` on the hub, or a folder.
            revision: Branch, tag or commit.
            token: Token for a private model; by default that of ``hf auth login``.
            cache_dir: Folder of downloaded files.
            force_download: Whether to download files that are cached already.
            local_files_only: Whether to use cached files only.
            modules: Further arguments of ``load``.

        Raises:
            ImportError: If it is not a folder, and ``huggingface_hub`` is not installed.
            ConnectionError: If it is not a folder, and the hub does not provide it.
            FileNotFoundError: If a file is missing.
            ValueError: If the files were not saved by this class.
        """
        name = str(pretrained_model_name_or_path)
        if Path(name).is_dir():
            return cls.load(name, **modules)
        hub = import_hub()
        try:
            folder = hub.snapshot_download(
                name,
                revision=revision,
                token=token,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                allow_patterns=["*.json", "*.safetensors"],
            )
        except (OSError, ValueError, hub.errors.HfHubHTTPError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ConnectionError(
                f"{name}: neither a folder nor a model on the hub ({reason}); check the name"
            ) from error
        return cls.load(folder, **modules)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Upload the model with its card in one commit; the repository is made if it is missing.

        Args:
            repo_id: ``owner/name``.
            options: Options of ``huggingface_hub.ModelHubMixin.push_to_hub``: ``private``,
                ``token``, ``branch``, ``create_pr``, ``commit_message``, ...

        Returns:
            Address of the commit.

        Raises:
            ImportError: If ``huggingface_hub`` is not installed.
        """
        card = {"repo_id": repo_id, **(options.pop("model_card_kwargs", None) or {})}
        return _bridge()(self).push_to_hub(repo_id, model_card_kwargs=card, **options)


def import_hub() -> Any:
    """The package ``huggingface_hub``.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        text = 'the Hugging Face hub needs huggingface_hub: pip install "flare-mesh[hub]"'
        raise ImportError(text) from error
    return huggingface_hub


def _bridge() -> Any:
    """A ``ModelHubMixin`` around a model, which saves the model by its own method."""
    import_hub()
    from huggingface_hub import ModelHubMixin

    class Bridge(
        ModelHubMixin,
        library_name="flare-mesh",
        pipeline_tag="graph-ml",
        tags=["mesh", "neural-operator", "physics", "surrogate"],
        model_card_template=_CARD,
    ):
        def __init__(self, shared: HubMixin) -> None:
            self.shared = shared

        def _save_pretrained(self, save_directory: Path) -> None:
            self.shared.save(save_directory)

        def generate_model_card(self, *args: Any, **values: Any) -> Any:
            cls = type(self.shared)
            names = {"class_name": cls.__name__, "module": cls.__module__}
            details = self.shared.card_details()
            return super().generate_model_card(*args, **{**names, "details": details, **values})

    return Bridge
