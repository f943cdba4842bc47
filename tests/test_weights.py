import re
from fnmatch import fnmatch

import huggingface_hub
import pytest
import timm
import torch
from typer.testing import CliRunner

from embedlab.cli import app
from embedlab.data.download import DataUnavailable
from embedlab.data.weights import clip_files, fetch_clip, fetch_timm, load_timm

NAME = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
CLIP = "somebody/clip-tiny"
FILES = [
    "config.json",
    "merges.txt",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer_config.json",
    "vocab.json",
]


def cached(hub, repository, files=()):
    """Empty files in the layout that a download leaves: the folder that holds them."""
    folder = hub / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True, exist_ok=True)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text("0" * 40)
    for name in files:
        (snapshot / name).touch()
    return snapshot


def test_a_folder(tmp_path, no_network):
    model = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2)
    timm.models.save_for_hf(model, tmp_path / "model", safe_serialization=True)
    loaded = load_timm(tmp_path / "model")
    x = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        expected = model.eval().forward_features(x)
        torch.testing.assert_close(loaded.forward_features(x), expected)
        assert loaded(x).shape == (2, 192)
    assert loaded.pretrained_cfg["input_size"] == (3, 64, 64)
    assert not loaded.training


def test_a_name_in_the_cache(empty_cache):
    """The layout that a download leaves, and no network."""
    model = timm.create_model("vit_tiny_patch16_224")
    snapshot = cached(empty_cache, f"timm/{NAME}")
    timm.models.save_for_hf(model, snapshot, safe_serialization=True)
    loaded = load_timm(NAME)
    assert torch.equal(loaded.blocks[3].mlp.fc1.weight, model.blocks[3].mlp.fc1.weight)
    assert loaded.num_classes == 0
    assert fetch_timm(NAME) == snapshot


def test_what_is_missing_is_named(empty_cache, tmp_path, monkeypatch):
    with pytest.raises(DataUnavailable, match=f"run `embedlab fetch timm:{NAME}`"):
        load_timm(NAME)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataUnavailable, match=r"holds no config\.json and no model\.safetensors"):
        load_timm(tmp_path / "empty")
    monkeypatch.setenv("EMBEDLAB_OFFLINE", "1")
    with pytest.raises(DataUnavailable, match="EMBEDLAB_OFFLINE is set"):
        fetch_timm(NAME)
    done = CliRunner().invoke(app, ["fetch", f"timm:{NAME}"])
    assert done.exit_code == 2
    assert "EMBEDLAB_OFFLINE is set" in done.output


class ProxyError(Exception):
    """As httpx raises it: no OSError."""


@pytest.mark.parametrize("error", [ConnectionError, RuntimeError, ProxyError])
@pytest.mark.parametrize(("fetch", "name"), [(fetch_timm, NAME), (fetch_clip, CLIP)])
def test_a_failed_download_says_so(fetch, name, error, empty_cache, monkeypatch):
    monkeypatch.delenv("EMBEDLAB_OFFLINE", raising=False)
    real = huggingface_hub.snapshot_download

    def fail(*args, local_files_only=False, **kwargs):
        if local_files_only:
            return real(*args, local_files_only=True, **kwargs)
        raise error("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(DataUnavailable, match=rf"cannot be downloaded \({error.__name__}\)"):
        fetch(name)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "no_such_model"])
def test_names_that_timm_does_not_know(name, empty_cache):
    with pytest.raises(ValueError, match=f"{name}' is neither a folder nor a model of timm"):
        load_timm(name)


# --- CLIP ---------------------------------------------------------------------------------------


@pytest.fixture
def downloads(monkeypatch, empty_cache):
    """A hub that has what the list says; what was asked for comes back."""
    has, asked = [], []

    def download(name, allow_patterns, local_files_only=False):
        if local_files_only:
            return real(name, allow_patterns=allow_patterns, local_files_only=True)
        asked.append(allow_patterns)
        return str(
            cached(
                empty_cache,
                name,
                [file for file in has if any(fnmatch(file, p) for p in allow_patterns)],
            )
        )

    real = huggingface_hub.snapshot_download
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.delenv("EMBEDLAB_OFFLINE", raising=False)
    return has, asked


@pytest.mark.parametrize(
    "files",
    [
        FILES,
        [*(f for f in FILES if f not in ("vocab.json", "merges.txt")), "tokenizer.json"],
        [*(f for f in FILES if f[:3] != "pre"), "processor_config.json"],
        [*(f for f in FILES if f != "model.safetensors"), "pytorch_model.bin"],
    ],
    ids=["all", "one tokenizer", "one processor", "torch's format"],
)
def test_the_files_of_a_clip(files, empty_cache, tmp_path):
    snapshot = cached(empty_cache, CLIP, files)
    assert clip_files(CLIP) == fetch_clip(CLIP) == snapshot
    assert clip_files(str(snapshot)) == snapshot


@pytest.mark.parametrize("absent", FILES)
def test_each_missing_file_of_a_clip_is_named(absent, empty_cache):
    snapshot = cached(empty_cache, CLIP, [name for name in FILES if name != absent])
    with pytest.raises(DataUnavailable, match=f"holds no .*{re.escape(absent)}") as caught:
        clip_files(str(snapshot))
    assert str(caught.value).count(" no ") == 1
    with pytest.raises(DataUnavailable, match=f"embedlab fetch clip:{CLIP}`"):
        clip_files(CLIP)


def test_a_clip_that_is_not_here(empty_cache, monkeypatch):
    with pytest.raises(DataUnavailable, match=f"run `embedlab fetch clip:{CLIP}`"):
        clip_files(CLIP)
    monkeypatch.setenv("EMBEDLAB_OFFLINE", "1")
    with pytest.raises(DataUnavailable, match="EMBEDLAB_OFFLINE is set"):
        fetch_clip(CLIP)
    done = CliRunner().invoke(app, ["fetch", f"clip:{CLIP}"])
    assert done.exit_code == 2
    assert "EMBEDLAB_OFFLINE is set" in done.output


@pytest.mark.parametrize("name", ["", "./no/such", "/no/such/folder", "a/b/c", "not a name"])
def test_names_that_no_hub_has(name, empty_cache):
    for find in (clip_files, fetch_clip):
        with pytest.raises(ValueError, match=f"'{name}' is neither a folder nor a name"):
            find(name)


def test_a_clip_is_fetched_once(downloads):
    has, asked = downloads
    has += [*FILES, "pytorch_model.bin", "flax_model.msgpack"]
    folder = fetch_clip(CLIP)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert fetch_clip(CLIP) == folder
    assert len(asked) == 1


def test_a_clip_in_torchs_format_only_is_fetched_too(downloads):
    has, _ = downloads
    has += [*(f for f in FILES if f != "model.safetensors"), "pytorch_model.bin"]
    done = CliRunner().invoke(app, ["fetch", f"clip:{CLIP}"])
    assert done.exit_code == 0
    assert (clip_files(CLIP) / "pytorch_model.bin").is_file()


def test_a_repository_that_is_no_clip(downloads):
    has, _ = downloads
    has += ["config.json", "model.safetensors"]
    with pytest.raises(DataUnavailable, match=r"no preprocessor_config\.json"):
        fetch_clip(CLIP)


def test_a_model_of_timm_is_fetched_once(downloads):
    has, asked = downloads
    has += ["config.json", "model.safetensors", "pytorch_model.bin", "README.md"]
    folder = fetch_timm(NAME)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert fetch_timm(NAME) == folder
    assert len(asked) == 1


@pytest.mark.parametrize("name", ["clip", "timm"])
def test_a_kind_is_no_set(name):
    done = CliRunner().invoke(app, ["fetch", name])
    assert done.exit_code == 2
    assert f"no such set: {name}" in done.output
