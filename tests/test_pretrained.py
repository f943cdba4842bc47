from __future__ import annotations

import socket

import huggingface_hub
import pytest
import timm
import torch
from typer.testing import CliRunner

from embedlab.cli import app
from embedlab.pretrained import fetch_timm, load_timm
from embedlab.sources import DataUnavailable

NAME = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("networking is off")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def empty_cache(monkeypatch, tmp_path, no_network):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


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
    repository = empty_cache / f"models--timm--{NAME}"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    timm.models.save_for_hf(model, snapshot, safe_serialization=True)
    loaded = load_timm(NAME)
    assert torch.equal(loaded.blocks[3].mlp.fc1.weight, model.blocks[3].mlp.fc1.weight)
    assert loaded.num_classes == 0
    assert fetch_timm(NAME).name == "model.safetensors"


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


def test_a_failed_download_says_so(empty_cache, monkeypatch):
    monkeypatch.delenv("EMBEDLAB_OFFLINE", raising=False)

    def fail(*args, **kwargs):
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(DataUnavailable, match=r"cannot be downloaded \(ConnectionError\)"):
        fetch_timm(NAME)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "no_such_model"])
def test_names_that_timm_does_not_know(name, empty_cache):
    with pytest.raises(ValueError, match=f"{name}' is neither a folder nor a model of timm"):
        load_timm(name)
