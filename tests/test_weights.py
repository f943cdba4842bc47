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
both = pytest.mark.parametrize(
    ("kind", "load", "fetch", "name"),
    [("timm", load_timm, fetch_timm, NAME), ("clip", clip_files, fetch_clip, CLIP)],
    ids=["timm", "clip"],
)


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


def all_but(*absent):
    return [name for name in FILES if name not in absent]


@pytest.fixture
def downloads(monkeypatch, empty_cache):
    """A hub that has what the list says, or fails by it; what was asked for comes back."""
    has, asked = [], []

    def download(name, allow_patterns, local_files_only=False):
        if local_files_only:
            return real(name, allow_patterns=allow_patterns, local_files_only=True)
        asked.append(allow_patterns)
        if isinstance(has[0], Exception):
            raise has[0]
        files = [file for file in has if any(fnmatch(file, p) for p in allow_patterns)]
        return str(cached(empty_cache, name, files))

    real = huggingface_hub.snapshot_download
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.delenv("EMBEDLAB_OFFLINE", raising=False)
    return has, asked


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


@both
def test_what_is_not_here_is_named_with_the_command_that_gets_it(
    kind, load, fetch, name, empty_cache, monkeypatch
):
    with pytest.raises(DataUnavailable, match=f"run `embedlab fetch {kind}:{name}`"):
        load(name)
    monkeypatch.setenv("EMBEDLAB_OFFLINE", "1")
    with pytest.raises(DataUnavailable, match="EMBEDLAB_OFFLINE is set"):
        fetch(name)
    done = CliRunner().invoke(app, ["fetch", f"{kind}:{name}"])
    assert done.exit_code == 2
    assert "EMBEDLAB_OFFLINE is set" in done.output


def test_a_folder_without_files_is_named(tmp_path):
    with pytest.raises(DataUnavailable, match=r"holds no config\.json and no model\.safetensors"):
        load_timm(tmp_path)


class ProxyError(Exception):
    """As httpx raises it: no OSError."""


@pytest.mark.parametrize("error", [ConnectionError, RuntimeError, ProxyError])
@both
def test_a_failed_download_says_so(kind, load, fetch, name, error, downloads):
    has, _ = downloads
    has.append(error("no route"))
    with pytest.raises(DataUnavailable, match=rf"cannot be downloaded \({error.__name__}\)"):
        fetch(name)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "no_such_model"])
def test_names_that_timm_does_not_know(name, empty_cache):
    with pytest.raises(ValueError, match=f"{name}' is neither a folder nor a model of timm"):
        load_timm(name)


@pytest.mark.parametrize("name", ["", "./no/such", "/no/such/folder", "a/b/c", "not a name"])
def test_names_that_no_hub_has(name, empty_cache):
    for find in (clip_files, fetch_clip):
        with pytest.raises(ValueError, match=f"'{name}' is neither a folder nor a name"):
            find(name)


@pytest.mark.parametrize(
    "files",
    [
        FILES,
        [*all_but("vocab.json", "merges.txt"), "tokenizer.json"],
        [*all_but("preprocessor_config.json"), "processor_config.json"],
        [*all_but("model.safetensors"), "pytorch_model.bin"],
    ],
    ids=["all", "one tokenizer", "one processor", "torch's format"],
)
def test_the_files_of_a_clip(files, empty_cache):
    snapshot = cached(empty_cache, CLIP, files)
    assert clip_files(CLIP) == fetch_clip(CLIP) == snapshot
    assert clip_files(str(snapshot)) == snapshot


@pytest.mark.parametrize("absent", FILES)
def test_each_missing_file_of_a_clip_is_named(absent, empty_cache):
    snapshot = cached(empty_cache, CLIP, all_but(absent))
    with pytest.raises(DataUnavailable, match=f"holds no .*{re.escape(absent)}") as caught:
        clip_files(str(snapshot))
    assert str(caught.value).count(" no ") == 1
    with pytest.raises(DataUnavailable, match=f"embedlab fetch clip:{CLIP}`"):
        clip_files(CLIP)


@both
def test_what_is_needed_is_fetched_once(kind, load, fetch, name, downloads):
    has, asked = downloads
    has += [*FILES, "pytorch_model.bin", "flax_model.msgpack", "README.md"]
    folder = fetch(name)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert fetch(name) == folder
    assert len(asked) == 1


def test_a_clip_in_torchs_format_only_is_fetched_too(downloads):
    has, _ = downloads
    has += [*all_but("model.safetensors"), "pytorch_model.bin"]
    done = CliRunner().invoke(app, ["fetch", f"clip:{CLIP}"])
    assert done.exit_code == 0
    assert (clip_files(CLIP) / "pytorch_model.bin").is_file()


def test_a_repository_that_is_no_clip(downloads):
    has, _ = downloads
    has += ["config.json", "model.safetensors"]
    with pytest.raises(DataUnavailable, match=r"no preprocessor_config\.json"):
        fetch_clip(CLIP)


@pytest.mark.parametrize("name", ["clip", "timm"])
def test_a_kind_is_no_set(name):
    done = CliRunner().invoke(app, ["fetch", name])
    assert done.exit_code == 2
    assert f"no such set: {name}" in done.output
