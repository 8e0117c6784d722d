"""The document as types: what a spec may say beside its architecture."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from .complaints import NAME

Side = Annotated[int, Field(ge=8, le=16384)]


Target = Literal["onnx", "compile", "fp16", "any_size"]
TARGETS: tuple[str, ...] = get_args(Target)


class Published(BaseModel):
    """What a paper prints for this network."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    source: str = Field(description="paper and table: `CADA, arXiv:2210.17141v1, Table 13`")
    params: str | None = Field(None, description="parameters as printed: `28M`")
    flops: str | None = Field(None, description="work as printed: `4.6G`")
    counter: Literal["macs", "fvcore", "ptflops-san", "elementwise"] = Field(
        "macs", description="the tool the flops come from"
    )
    top1: float | None = Field(None, description="ImageNet-1k top-1 accuracy, percent")
    top5: float | None = Field(None, description="top-5 accuracy, percent")
    dataset: str | None = Field(None, description="where the accuracy was measured, if not ImageNet-1k")
    disputed: str | None = Field(None, description="why the printed figures cannot all hold")
    note: str | None = Field(None, description="anything a reader should know")


Amount = Annotated[int, Field(ge=0)] | str


class Budget(BaseModel):
    """Limits that the network must keep: a number, or text such as `30M`, `4.5G`, `512MiB`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    max_params: Amount | None = Field(None, description="most parameters: `30M`")
    max_macs: Amount | None = Field(None, description="most multiply-adds for one image: `4.5G`")
    max_activation_bytes: Amount | None = Field(None, description="most bytes kept for backward: `512MiB`")


class About(BaseModel):
    """The keys of a spec that do not describe the architecture."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    name: Annotated[str, Field(pattern=NAME)] = Field(description="the model's name, lower case: `hpxformer_s18`")
    family: str = Field(description="the frame: metaformer, resnet, ...")
    description: str = Field("", description="one sentence")
    image: Side | tuple[Side, Side] = Field(224, description="input size in pixels: a side, or [height, width]")
    published: tuple[Published, ...] = Field((), description="what papers print for this network")
    recipe: str | None = Field(None, description="the training recipe that goes with it")
    budget: Budget | None = Field(None, description="limits that the network must keep: `{max_params: 30M}`")
    targets: tuple[Target, ...] = Field((), description="what the network must be fit for")
