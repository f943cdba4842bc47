"""Small data and small networks for the unit tests."""

import socket
from functools import partial

import huggingface_hub
import numpy as np
import pytest

from embedlab.data.images import Images
from embedlab.data.load import load_images
from embedlab.training.device import set_threads
from embedlab.training.loop import train


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    set_threads()


@pytest.fixture(scope="session", autouse=True)
def offline():
    """No test downloads: what is not on disk is skipped, and said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBEDLAB_OFFLINE", "1")
        yield


@pytest.fixture(scope="session")
def digits() -> Images:
    return load_images("digits")


@pytest.fixture(scope="session")
def few() -> Images:
    """A quick subset of the digits, every class in every split."""
    return load_images("digits", limit=(200, 100, 120))


@pytest.fixture
def fast_path(monkeypatch):
    """Every network trains as on a GPU: bf16 autocast, channels-last memory."""
    monkeypatch.setattr("embedlab.embedders.shared.network.train", partial(train, fast=True))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


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
