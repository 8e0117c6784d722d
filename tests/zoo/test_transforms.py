"""What a recipe does to pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mixspec.compiler.recipe import Recipe
from mixspec.zoo.training.data import Inputs, Key, open_data


def test_training_transforms_do_what_the_recipe_says(tmp_path: Path) -> None:
    """Each option alone changes the picture, and the order of keys does not."""
    (tmp_path / "ant").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "ant" / "a.png")
    split = open_data(f"{tmp_path}?val=0").splits["train"]

    def seen(channels: int = 3, **options: object) -> torch.Tensor:
        recipe = Recipe.model_validate({"name": "a", "epochs": 1, "batch_size": 2, "lr": 1e-3, **options})
        inputs = Inputs((16, 16), channels, 0.5, 0.25)
        return split.samples(inputs, recipe, 1).__getitems__([Key(0, 0, copy) for copy in range(4)]).images

    plain = seen()
    assert plain.shape == (4, 3, 16, 16) and torch.equal(plain[0], plain[3])
    torch.testing.assert_close(
        plain[:1], split.samples(Inputs((16, 16), 3, 0.5, 0.25)).__getitems__([Key(0, 0)]).images
    )
    for options in (
        {"scale": (0.2, 0.5)}, {"ratio": (0.5, 2.0)}, {"hflip": 0.5}, {"vflip": 0.5}, {"color_jitter": 0.4},
        {"aa": "rand-m9-n2-mstd0.5"}, {"aa": "ta_wide"}, {"aa": "augmix-m3-w3"}, {"aa": "original-mstd0.5"},
        {"reprob": 1.0}, {"reprob": 1.0, "remode": "const", "recount": 3}, {"train_crop_mode": "pad"},
        {"train_crop_mode": "rkrc"}, {"train_crop_mode": "rkrr", "train_interpolation": "random"},
        {"degrees": 20.0}, {"translate": 0.2}, {"zoom": (0.5, 2.0)},
    ):  # fmt: skip
        changed = seen(**options)
        assert changed.shape == plain.shape and changed.isfinite().all(), options
        assert not torch.equal(changed, plain), options
        assert len({image.numpy().tobytes() for image in changed}) > 1, options
        assert torch.equal(seen(**options), changed), options
    assert torch.equal(seen(hflip=1.0)[0], plain[0].flip(-1))
    grey = seen(channels=1, aa="rand-m9-n2", color_jitter=0.4, reprob=1.0, scale=(0.5, 1.0))
    assert grey.shape == (4, 1, 16, 16)
