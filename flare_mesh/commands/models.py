"""``flare-mesh models``: the models and mixing layers."""

from flare_mesh.models.overview import markdown as table
from flare_mesh.models.overview import overview


def list_models(*, markdown: bool = False) -> None:
    """List the models and mixing layers: name, source, use, cost of a layer, parameters.

    Names of models are for model.name, those of mixers for model.options.mixer of the models
    'flare', 'backbone' and, for sequences, 'sequence'; both are for 'benchmark --models'.

    Args:
        markdown: Print the table of the README and of docs/models.md.
    """
    if markdown:
        print(table())
        return
    rows = overview()
    width = max(len(row.name) for row in rows)
    for row in rows:
        needs = f", needs {row.needs}" if row.needs else ""
        print(f"{row.name:<{width}}  {row.kind}  {row.parameters:>9,}  {row.use}{needs}")
