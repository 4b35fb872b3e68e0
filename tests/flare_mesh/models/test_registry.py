import json

import pytest
import torch

from flare_mesh.models import MODELS, FLAREOperator, build, load, model_options


def test_models_are_built_by_name():
    model = build("flare", in_channels=1, out_channels=2, hidden_channels=16, heads=2, kv_layers=1)
    assert isinstance(model, FLAREOperator)
    assert (model.config["kv_layers"], model.config["heads"]) == (1, 2)


def test_unknown_names_and_options_suggest_the_nearest():
    with pytest.raises(ValueError, match="unknown model 'fler'; choose from"):
        build("fler", in_channels=1, out_channels=1)
    with pytest.raises(ValueError, match=r"unknown model '\['flare'\]'; choose from"):
        build(["flare"], in_channels=1, out_channels=1)  # as a damaged file may have it
    with pytest.raises(ValueError, match="no option 'num_latent'; did you mean 'num_latents'"):
        build("flare", in_channels=1, out_channels=1, num_latent=3)
    with pytest.raises(ValueError, match="no option 'zzz'; choose from"):
        build("flare", in_channels=1, out_channels=1, zzz=3)


@pytest.mark.parametrize("name", list(MODELS))
def test_options_have_defaults(name):
    options = model_options(name)
    assert {"hidden_channels", "num_layers", "pos_dim"} <= options.keys()
    with torch.device("meta"):
        model = build(name, in_channels=0, out_channels=1, **options)
    assert model.config.keys() >= {"hidden_channels", "num_layers", "pos_dim"}


# Parameters at the published sizes, the defaults. The authors of Transolver++ also have a layer
# of 4 C parameters that they never call.
SIZES = {
    "geotransolver": 4_760_157,  # by the formula in test_geotransolver
    "transformer": 662_081,
    "transolver": 713_665,
    "transolver++": 591_305 - 4 * 128,
    "lno": 1_831_745,
    # With one constant in place of two features of each node.
    "meshgraphnet": 2_331_649 - 128,
    "gnot": 4_870_553,
    "lamo": 1_953_577,
    "perceiver_io": 1_864_833,
    # By formula: a block has 12 C^2 + 13 C, a Perceiver block 12 C^2 + 15 C.
    "upt": 173 * 192**2 + 321 * 192 + 1,
    "ab_upt": 162 * 192**2 + 177 * 192 + 1,
}


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("flare", "backbone")])
def test_the_default_size_is_the_published_one(name):
    with torch.device("meta"):
        model = build(name, in_channels=0, out_channels=1, pos_dim=2)
    assert sum(p.numel() for p in model.parameters()) == SIZES[name]


def test_the_size_of_lamo_without_shared_slices():
    model = build("lamo", in_channels=0, out_channels=1, pos_dim=2, shared_slices=False, expand=1)
    assert sum(p.numel() for p in model.parameters()) == 1_718_257


def test_gnot_has_the_same_size_with_either_stream():
    model = build("gnot", in_channels=0, out_channels=1, pos_dim=2, stream="inputs")
    assert sum(p.numel() for p in model.parameters()) == SIZES["gnot"]


def test_saved_models_are_loaded_by_their_name(tmp_path):
    model = build("flare", in_channels=1, out_channels=2, hidden_channels=8, heads=2, num_layers=1)
    model.save(tmp_path)
    again = load(tmp_path)
    assert type(again) is type(model)
    for ours, theirs in zip(again.parameters(), model.parameters(), strict=True):
        assert ours.equal(theirs)
    (tmp_path / "config.json").write_text(json.dumps({"model": "nothing"}))
    with pytest.raises(ValueError, match="unknown model 'nothing'"):
        load(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="config.json does not describe a model"):
        load(tmp_path)
