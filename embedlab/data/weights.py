"""Weights that others trained: found on this machine, or named with the command that gets them.

Nothing is downloaded unless asked for by ``embedlab fetch timm:NAME`` or ``embedlab fetch
clip:NAME``; loading needs no network.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

from torch import nn

from embedlab.data.download import DataUnavailable
from embedlab.settings import offline

WEIGHTS = "model.safetensors"
PICKLED = "pytorch_model.bin"  # the same in torch's format: OpenAI's ViT-B/32 comes in no other
# What a CLIP needs; of each row one. Without its words a tokenizer loads, and reads nonsense.
CLIP_FILES = (
    ("config.json",),
    ("preprocessor_config.json", "processor_config.json"),
    ("tokenizer_config.json",),
    ("tokenizer.json", "vocab.json"),
    ("tokenizer.json", "merges.txt"),
    (WEIGHTS, PICKLED),
)


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

    folder = Path(model).expanduser()
    if folder.is_dir():
        absent = [n for n in ("config.json", WEIGHTS) if not (folder / n).is_file()]
        if absent:
            raise DataUnavailable(f"{folder} holds no {' and no '.join(absent)}.")
        return timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()
    path = timm_weights(str(model))
    if path is None:
        raise DataUnavailable(
            f"The weights of {model} are not on this machine: run `embedlab fetch timm:{model}` "
            "where there is a network, or set HF_HOME to a folder that holds them."
        )
    overlay = {"file": str(path)}
    return timm.create_model(
        str(model), pretrained=True, pretrained_cfg_overlay=overlay, num_classes=0
    ).eval()


def timm_weights(name: str) -> Path | None:
    """Where the Hugging Face cache holds the weights of a model of timm; None if it does not.

    Parameters
    ----------
    name : str

    Returns
    -------
    pathlib.Path or None
    """
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(_repository(name), WEIGHTS)
    return Path(found) if isinstance(found, str) else None


def fetch_timm(name: str) -> Path:
    """Download the weights of a model of timm into the Hugging Face cache, once.

    Parameters
    ----------
    name : str

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ValueError
        As :func:`load_timm`.
    embedlab.data.download.DataUnavailable
        With no network, or with ``EMBEDLAB_OFFLINE=1``.
    """
    from huggingface_hub import hf_hub_download

    repository, path = _repository(name), timm_weights(name)
    if path is not None:
        return path
    with _downloading(name):
        return Path(hf_hub_download(repository, WEIGHTS))


@contextmanager
def _downloading(name: str):
    """What goes wrong inside is said in one sentence, and what to do about it."""
    try:
        if offline():
            raise OSError
        yield
    except (OSError, RuntimeError) as error:  # requests', httpx' and the hub's own are of these
        reason = "EMBEDLAB_OFFLINE is set" if offline() else type(error).__name__
        raise DataUnavailable(
            f"The weights of {name} cannot be downloaded ({reason}): try again where there is a "
            "network, or set HF_HOME to a folder that holds them."
        ) from error


def _repository(name: str) -> str:
    """The Hugging Face repository of a model of timm."""
    import timm

    known = timm.list_pretrained(f"{name.split('.')[0]}*") if name else []
    if name not in known:
        some = f" Use {', '.join(known[:3])}." if known else " See timm.list_pretrained()."
        raise ValueError(f"{name!r} is neither a folder nor a model of timm with weights.{some}")
    repository = timm.get_pretrained_cfg(name).hf_hub_id
    if repository is None:
        raise ValueError(f"{name!r} has no weights on the Hugging Face hub.")
    return repository


def clip_files(model: str) -> Path:
    """The folder of a CLIP's files: the one that is named, or that in the Hugging Face cache.

    Parameters
    ----------
    model : str
        A folder, or a name of the hub such as ``"openai/clip-vit-base-patch32"``.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ValueError
        For what is neither a folder nor a name.
    embedlab.data.download.DataUnavailable
        Where there are none, or not all.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    folder, advice = Path(model).expanduser(), ""
    if not model or not folder.is_dir():
        advice = (
            f" Run `embedlab fetch clip:{model}` where there is a network, or set HF_HOME to a "
            "folder that holds the files."
        )
        try:
            found = try_to_load_from_cache(str(model), "config.json")
        except HFValidationError as error:
            raise ValueError(
                f"{str(model)!r} is neither a folder nor a name of the Hugging Face hub."
            ) from error
        if not isinstance(found, str):
            raise DataUnavailable(f"The files of {model} are not on this machine.{advice}")
        folder = Path(found).parent
    absent = [
        " or ".join(names)
        for names in CLIP_FILES
        if not any((folder / name).is_file() for name in names)
    ]
    if absent:
        raise DataUnavailable(f"{folder} holds no {' and no '.join(absent)}.{advice}")
    return folder


def fetch_clip(name: str) -> Path:
    """Download the files of a CLIP into the Hugging Face cache, once.

    Parameters
    ----------
    name : str
        Such as ``"openai/clip-vit-base-patch32"``.

    Returns
    -------
    pathlib.Path
        Their folder.

    Raises
    ------
    ValueError
        As :func:`clip_files`.
    embedlab.data.download.DataUnavailable
        With no network, or with ``EMBEDLAB_OFFLINE=1``; or where the name has not these files.
    """
    from huggingface_hub import snapshot_download

    try:
        return clip_files(name)
    except DataUnavailable:
        with _downloading(name):
            folder = snapshot_download(name, allow_patterns=["*.json", "*.txt", WEIGHTS])
            if not Path(folder, WEIGHTS).is_file():
                snapshot_download(name, allow_patterns=[PICKLED])
        return clip_files(name)
