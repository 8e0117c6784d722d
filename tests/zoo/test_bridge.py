"""timm makes our networks by their names: every option of `create_model`, round trips, and nothing of timm's lost."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import timm
import torch
from timm.data import resolve_model_data_config
from timm.data.model_config import resolve_input_data_config

import mixspec
from mixspec.compiler import catalogue, document
from mixspec.compiler.errors import SpecError
from mixspec.compiler.resolve import resolve
from mixspec.zoo import entries, timm_bridge
from mixspec.zoo.ports.timm_metaformer import LAYOUT
from mixspec.zoo.timm_config import ENTRYPOINT, hub_config, pretrained_config, write_folder

TINY = {"family": "metaformer", "depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32], "image": 64, "classes": 7}
HPX = {**TINY, "mixers": "Hpx in stages 1-2, attention Ch=8 in stages 3-4"}
VIT = {"family": "isotropic", "depths": [4], "width": 32, "patch": 8, "image": 32, "mixers": "attention Ch=8"}
PAIR = {
    "family": "ensemble",
    "image": 64,
    "members": [{k: v for k, v in HPX.items() if k not in ("image", "classes")}] * 2,
}


def made(spec: object = HPX, **options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model(ENTRYPOINT, spec=spec, **options).eval()


def images(channels: int = 3, side: int = 64) -> torch.Tensor:
    return torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(1))


def test_every_name_is_registered_and_timm_keeps_its_own() -> None:
    names, models = catalogue.names(), set(timm.list_models())
    registered = {timm_bridge.CLASHES.get(name, name) for name in names}
    assert len(registered) == len(names) and registered <= models and ENTRYPOINT in models
    assert registered | {ENTRYPOINT} == set(timm.list_models(module="timm_bridge"))
    assert {"caformer_s18", "resnet50"} <= set(timm_bridge.CLASHES)
    for name in timm_bridge.CLASHES:
        assert timm.model_entrypoint(name).__module__.startswith("timm.models.")
    assert {name for name in names if "cadasp" in name} == set(timm.list_models("*cadasp*"))
    assert all(hasattr(timm_bridge, name) for name in timm_bridge.__all__)


def test_registered_sizes_are_those_of_the_specs() -> None:
    for name in catalogue.names():
        spec = catalogue.load(name)
        config = timm.get_pretrained_cfg(timm_bridge.CLASHES.get(name, name))
        height, width = resolve_size(spec.about.image)
        assert config.input_size == (spec.family.in_chans, height, width), name
        assert config.num_classes == spec.family.classes, name


def resolve_size(image: int | tuple[int, int]) -> tuple[int, int]:
    return (image, image) if isinstance(image, int) else image


def test_registering_reads_no_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing takes what a pattern finds in the files, and no tree is made before a model is."""
    monkeypatch.setattr(document, "read", lambda path: pytest.fail(f"{path} was read"))
    start = time.process_time()
    assert len([timm_bridge._input(catalogue.find(name), {}) for name in catalogue.names()]) > 300
    assert time.process_time() - start < 1.0


def test_a_name_is_made_with_timm_s_options() -> None:
    model = timm.create_model(
        "digits_hpx_attention", num_classes=5, in_chans=2, img_size=64, drop_rate=0.1, drop_path_rate=0.2
    )
    family = model.resolved.family
    assert (model.num_classes, model.in_chans, family.drop_path, family.head_dropout) == (5, 2, 0.2, 0.1)
    assert model(images(2)).shape == (2, 5)
    assert model.default_cfg is model.pretrained_cfg
    assert resolve_input_data_config(model)["input_size"][0] == 2
    assert timm.get_pretrained_cfg("digits_hpx_attention").architecture == "digits_hpx_attention"


def test_same_weights_as_build_with_the_same_seed() -> None:
    ours = mixspec.build("digits_hpx_attention", seed=3).eval()
    torch.manual_seed(3)
    theirs = timm.create_model("digits_hpx_attention").eval()
    x = images(1, 32)
    assert torch.equal(ours(x), theirs(x))


def test_wrong_use_is_refused() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'output_stride'"):
        made(output_stride=8)
    with pytest.raises(SpecError, match="MX103 spec is missing"):
        timm.create_model(ENTRYPOINT)
    with pytest.raises(SpecError, match=r"MX102 .*drop_path"):
        made(drop_path_rate=2.0)
    with pytest.raises(SpecError, match=r"MX104 resnet50d_dw7 has no weights tagged 'a1'"):
        timm.create_model("resnet50d_dw7.a1")
    with pytest.raises(SpecError, match="MX806 no published weights"):
        timm.create_model("resnet50e_dw3", pretrained=True)
    with pytest.raises(ValueError, match="global_pool must be 'avg'"):
        made(global_pool="max")
    with pytest.raises(ValueError, match="indices"):
        made(features_only=True, out_indices=(0, 9))


def test_classifier_and_pooling_can_be_left_out() -> None:
    x = images()
    assert made(num_classes=0)(x).shape == (2, 4 * 32)
    assert made(num_classes=0, global_pool="")(x).shape == (2, 4 * 32, 2, 2)
    model = made(PAIR, num_classes=0)
    assert model(x).shape == (2, model.head_hidden_size)
    assert made(VIT, num_classes=0, global_pool="token")(images(side=32)).shape == (2, 32)


@pytest.mark.parametrize("feature_cls", [None, "list", "dict", "hook"])
def test_features_are_the_same_whoever_takes_them(feature_cls: str | None) -> None:
    whole, x = made(), images()
    options = {} if feature_cls is None else {"feature_cls": feature_cls}
    torch.manual_seed(0)
    features = made(features_only=True, **options)
    assert features.feature_info.channels() == [8, 16, 24, 32]
    assert features.feature_info.reduction() == [4, 8, 16, 32]
    maps = features(x)
    maps = list(maps.values()) if isinstance(maps, dict) else maps
    expected = whole.forward_intermediates(x, intermediates_only=True)
    assert all(torch.equal(a, b) for a, b in zip(maps, expected, strict=True))


def test_features_leave_out_what_stands_behind() -> None:
    features = made(features_only=True, out_indices=(0, 2), in_chans=1, drop_path_rate=0.1)
    assert [tuple(each.shape[1:]) for each in features(images(1))] == [(8, 16, 16), (24, 4, 4)]
    assert not [name for name, _ in features.named_parameters() if "stages.3" in name or "head" in name]
    assert made(VIT, features_only=True).feature_info.reduction() == [8, 8, 8]
    pair = made(PAIR, features_only=True, out_indices=(-1,))
    assert pair.feature_info.channels() == [64] and pair(images())[0].shape == (2, 64, 2, 2)


@pytest.mark.parametrize("spec", [HPX, VIT, PAIR], ids=lambda spec: spec["family"])
def test_comes_back_from_a_folder_to_the_last_bit(spec: dict[str, object], tmp_path: Path) -> None:
    model = made(spec)
    x = images(side=model.pretrained_cfg["input_size"][-1])
    write_folder(model, tmp_path)
    again = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    assert torch.equal(again(x), model(x))
    assert again.resolved.digest == model.resolved.digest
    adapted = timm.create_model(f"local-dir:{tmp_path}", pretrained=True, num_classes=3, in_chans=1)
    assert adapted(x[:, :1]).shape == (2, 3)
    features = timm.create_model(f"local-dir:{tmp_path}", pretrained=True, features_only=True).eval()
    expected = model.forward_intermediates(x, features.out_indices, intermediates_only=True)
    assert all(torch.equal(a, b) for a, b in zip(features(x), expected, strict=True))


def test_comes_back_from_the_hub(tmp_path: Path) -> None:
    """From the Hub's cache, which the client fills: `hf-hub:` reads the same two files."""
    model, x = made(), images()
    repository = tmp_path / "models--org--tiny"
    write_folder(model, repository / "snapshots" / ("0" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    again = timm.create_model("hf-hub:org/tiny", pretrained=True, cache_dir=tmp_path).eval()
    assert torch.equal(again(x), model(x))


def test_timm_s_own_export_comes_back(tmp_path: Path) -> None:
    from timm.models import save_for_hf

    model, x = made(num_classes=3), images()
    save_for_hf(model, str(tmp_path), safe_serialization=True)
    assert json.loads((tmp_path / "config.json").read_text())["architecture"] == ENTRYPOINT
    again = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    assert torch.equal(again(x), model(x))


def test_config_says_what_the_weights_file_says(tmp_path: Path) -> None:
    data = {"name": "digits", "classes": ["zero", "one"], "mean": 0.2, "std": 0.3}
    config = hub_config(made(num_classes=2).resolved, data)
    assert config["label_names"] == ["zero", "one"] and config["num_features"] == 32
    assert config["pretrained_cfg"]["mean"] == [0.2] * 3 and config["pretrained_cfg"]["first_conv"] == "stem.conv"
    assert json.loads(json.dumps(config)) == config
    write_folder(made(num_classes=2), tmp_path, data)
    model = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    assert tuple(resolve_model_data_config(model)["mean"]) == (0.2, 0.2, 0.2)
    assert list(model.pretrained_cfg["label_names"]) == ["zero", "one"]


def test_another_image_size_interpolates_positions(tmp_path: Path) -> None:
    spec = {**VIT, "position": False, "class_token": False, "mixers": "window window=4 Ch=8"}
    write_folder(made(spec), tmp_path)
    assert timm.create_model(f"local-dir:{tmp_path}", pretrained=True, img_size=64)(images()).shape == (2, 1000)
    small = made(VIT)
    config = {**pretrained_config(small.resolved), "state_dict": small.state_dict()}
    large = made(VIT, pretrained=True, pretrained_cfg=config, img_size=64)
    assert large(images()).shape == (2, 1000)
    assert large.stem.position.shape == (32, 8, 8)
    blurred = torch.nn.functional.interpolate(large.stem.position[None], scale_factor=0.5, mode="area")[0]
    wanted = small.stem.position
    assert torch.nn.functional.cosine_similarity(blurred.flatten(), wanted.flatten(), dim=0) > 0.9
    assert config["fixed_input_size"] and torch.equal(large.head.fc.weight, small.head.fc.weight)


def test_published_weights_are_found_by_name() -> None:
    shipped = [entry for entry in entries.every() if entry.shipped and entry.default]
    names = {timm_bridge.CLASHES.get(entry.spec, entry.spec) for entry in shipped}
    assert names and names == set(timm.list_models(module="timm_bridge", pretrained=True))
    for entry in shipped[:1]:
        trained = mixspec.load(entry.file)
        model = timm.create_model(entry.spec, pretrained=True).eval()
        x = images(trained.in_chans, trained.at.h)
        assert torch.equal(model(x), trained(x))
        config = resolve_model_data_config(model)
        assert len(config["mean"]) == trained.in_chans and config["mean"] != (0.485, 0.456, 0.406)
        again = timm.create_model(entry.spec, pretrained=True, num_classes=3, in_chans=3).eval()
        assert again(images(3, 32)).shape == (2, 3)


@torch.no_grad()
def test_the_same_features_as_timm_s_model_with_the_same_weights() -> None:
    torch.manual_seed(0)
    theirs = timm.create_model("caformer_s18").eval()
    ours = timm.create_model("mixspec_caformer_s18").eval()
    ours.load_state_dict(LAYOUT.ours(theirs.state_dict(), ours.state_dict()))
    x = torch.randn(1, 3, 96, 96)
    expected = theirs.forward_intermediates(x, intermediates_only=True)
    for one, other in zip(ours.forward_intermediates(x, intermediates_only=True), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)


def test_made_on_meta_as_segmentation_libraries_do() -> None:
    with torch.device("meta"):
        model = timm.create_model(ENTRYPOINT, spec=HPX, features_only=True)
    assert all(weight.is_meta for weight in model.parameters())
    assert resolve(timm_bridge.read(ENTRYPOINT, HPX)).name == ENTRYPOINT
