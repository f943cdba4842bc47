"""Networks that others trained, by name: each with the preprocessing that it was trained with.

timm, torchvision and transformers are imported when they are first needed: they take seconds.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from PIL import Image
from torch import nn

from embedlab.data.weights import (
    efficientnet_lite0,
    image_model,
    load_timm,
    torchvision_entry,
    torchvision_names,
    torchvision_weights,
)
from embedlab.embedders.pretrained_clip import PretrainedCLIP

LITE0 = "efficientnet-lite0"


class Backbone(NamedTuple):
    """A network with what belongs to it, all of which can be pickled."""

    network: nn.Module  # in evaluation mode, on the CPU
    preprocess: Callable[[Image.Image], torch.Tensor]  # an RGB picture to float32, (3, H, W)
    embed: Callable[[nn.Module, torch.Tensor], torch.Tensor]  # (N, 3, H, W) to (N, ...)
    run: Callable[[nn.Module, torch.Tensor], Any]  # the same, through every layer


def load_backbone(model: str | Path) -> Backbone:
    """The network that `model` names: see :class:`embedlab.embedders.pretrained.Pretrained`."""
    name = str(model)
    if name == LITE0:
        import timm

        network = timm.create_model("tf_efficientnet_lite0")
        network.load_state_dict(efficientnet_lite0())
        return _of_timm(network.eval())
    if name.startswith("timm/"):
        return _of_timm(load_timm(_timm_name(name)))
    if name.partition(".")[0] in torchvision_names():
        return _of_torchvision(name)
    if "/" not in name and not Path(name).expanduser().is_dir():
        raise ValueError(f"model={name!r} is neither a folder nor a model's name. {_nearest(name)}")
    kind, folder = image_model(model)
    if kind == "timm":
        return _of_timm(load_timm(folder))
    return _clip(folder) if kind == "clip" else _of_transformers(folder)


def _nearest(name: str) -> str:
    """The advice for a name that is unknown: those that look like it."""
    import timm

    architectures = dict.fromkeys(m.partition(".")[0] for m in timm.list_pretrained())
    bare = {model: f"timm/{model}" for model in architectures}
    bare |= {name: name for name in (LITE0, *torchvision_names(), "openai/clip-vit-base-patch32")}
    near = [bare[found] for found in get_close_matches(name.removeprefix("timm/"), bare)]
    return f"Use {', '.join(near or [LITE0, 'resnet50', 'timm/vit_small_patch16_224'])}."


def _all(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return network(batch)


def _of_timm(network: nn.Module) -> Backbone:
    """A network of timm with the preprocessing that its own configuration tells."""
    import timm

    config = timm.data.resolve_model_data_config(network)
    return Backbone(network, timm.data.create_transform(**config), _before_timms_classifier, _all)


def _timm_name(name: str) -> str:
    """``"timm/NAME"`` as timm's weights are named: with the tag that timm takes where none is."""
    import timm

    model = name.removeprefix("timm/")
    architecture, _, tag = model.partition(".")
    if not timm.is_model(architecture):
        raise ValueError(f"model={name!r} is no model of timm. {_nearest(name)}")
    tag = tag or timm.get_pretrained_cfg(architecture).tag
    return f"{architecture}.{tag}" if tag else architecture


def _before_timms_classifier(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return network.forward_head(network.forward_features(batch), pre_logits=True)


def _of_torchvision(name: str) -> Backbone:
    """A classifier of torchvision with the transforms that belong to its weights."""
    from torchvision.models import get_model

    entry, _ = torchvision_entry(name), torchvision_weights(name)  # there, and its hash right
    # torchvision's builder knows what each model needs, but reads the file as a pickle that may
    # run code. This makes torch read tensors only.
    with patch.dict(os.environ, TORCH_FORCE_WEIGHTS_ONLY_LOAD="1"):
        network = get_model(name.partition(".")[0], weights=entry)
    return Backbone(network.eval(), entry.transforms(), _before_last_layer, _all)


def _before_last_layer(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """What the classifier, the last layer with weights of a classifier of torchvision, is given."""
    named = network.named_modules()
    *_, last = (name for name, layer in named if isinstance(layer, nn.Linear | nn.Conv2d))
    return captured(network, last, lambda: network(batch), given=True)


def _clip(folder: Path) -> Backbone:
    """The image tower of a CLIP."""
    clip = PretrainedCLIP(str(folder)).fit()
    processor = _Processor(clip.processor_.image_processor)
    return Backbone(clip.network_, processor, _image_features, _image_features)


def _image_features(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return network.get_image_features(pixel_values=batch).pooler_output


def _of_transformers(folder: Path) -> Backbone:
    """Another image model of transformers; its last hidden state, as pooler's weights may lack."""
    from transformers import AutoImageProcessor, AutoModel

    # Said as False: left out, transformers asks at the terminal whether to run foreign code.
    how = dict(local_files_only=True, trust_remote_code=False)
    network, loading = AutoModel.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True, **how
    )
    absent = set(loading["missing_keys"])
    if any(not name.startswith("pooler.") for name in absent):
        raise ValueError(f"{folder} lacks weights: {', '.join(sorted(absent)[:3])} ...")
    if absent:
        network.pooler = None  # or it would be random
    processor = AutoImageProcessor.from_pretrained(folder, **how)
    return Backbone(network.eval(), _Processor(processor), _last_hidden_state, _last_hidden_state)


def _last_hidden_state(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return network(pixel_values=batch).last_hidden_state


@dataclass(frozen=True)
class _Processor:
    """An image processor of transformers as a function of one picture."""

    processor: Any

    def __call__(self, picture: Image.Image) -> torch.Tensor:
        return self.processor(images=picture, return_tensors="pt").pixel_values[0]


class _Enough(Exception):
    """What was looked for has been seen: the rest of the forward pass would be for nothing."""


def captured(
    network: nn.Module, layer: str, forward: Callable[[], Any], given: bool = False
) -> torch.Tensor:
    """What `layer` of the network makes, or is `given`, while `forward` runs, which it stops."""
    seen = []

    def look(module, inputs, output=None):
        seen.append(inputs if given else output)
        raise _Enough

    module = network.get_submodule(layer)
    hook = module.register_forward_pre_hook if given else module.register_forward_hook
    handle = hook(look)
    try:
        forward()
    except _Enough:
        found = seen[0]
        while not isinstance(found, torch.Tensor):  # a layer of transformers gives several
            found = found[0]
        return found
    finally:
        handle.remove()
    raise ValueError(f"layer={layer!r} does not run when a picture is embedded.")
