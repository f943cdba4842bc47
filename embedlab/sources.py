"""Where downloaded bytes come from: the manifest, the data folder, the download, the checksum.

Nothing here knows what an image is. A *set* is a named list of files with their checksums in
``data/manifest.toml``; :func:`fetch` returns their paths, all verified, or raises one clear
:class:`DataUnavailable`. Files are looked for in, and downloaded to, one folder: ``EMBEDLAB_DATA``
where that is set (a USB stick, a class server's mount, a CI cache), otherwise ``data/`` of the
course. Its layout is torchvision's own.
"""

from __future__ import annotations

import os
import shutil
import tomllib
import warnings
from functools import cache
from pathlib import Path

import filelock
import pooch
import requests

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ROOT / "data" / "manifest.toml"

# A laptop that has wifi but no internet should not hang: (to connect, between two chunks), seconds.
TIMEOUT = (10, 60)


class DataUnavailable(OSError):
    """A data set is neither on disk nor to be had now; the message says which command gets it."""


def data_home() -> Path:
    """Folder of the downloaded data: ``EMBEDLAB_DATA``, or the course's own ``data/``."""
    return Path(os.environ.get("EMBEDLAB_DATA") or ROOT / "data").expanduser().resolve()


def offline() -> bool:
    """Whether ``EMBEDLAB_OFFLINE`` forbids any attempt to download."""
    return os.environ.get("EMBEDLAB_OFFLINE", "") not in ("", "0")


@cache
def _read_manifest(path: Path) -> dict:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def manifest() -> dict[str, dict]:
    """Every downloadable set by name: its title, base URLs and files (path, checksum, bytes)."""
    return _read_manifest(MANIFEST)


def _checksum_ok(path: Path, known_hash: str) -> bool:
    algorithm, _, digest = known_hash.partition(":")
    return pooch.file_hash(str(path), alg=algorithm) == digest


def missing(name: str) -> list[dict]:
    """Files of the set `name` that are absent from the data folder or fail their checksum.

    Parameters
    ----------
    name : str
        A name in the manifest.

    Returns
    -------
    list of dict
        The manifest's entries, empty where the set is complete.
    """
    home = data_home()
    return [
        entry
        for entry in manifest()[name]["files"]
        if not (home / entry["path"]).is_file()
        or not _checksum_ok(home / entry["path"], entry["hash"])
    ]


def unavailable(name: str, reason: str) -> DataUnavailable:
    """The one sentence a person gets when the set `name` is not to be had."""
    return DataUnavailable(
        f"The data set {name!r} is not in {data_home()} and cannot be downloaded ({reason}): "
        f"run `embedlab fetch {name}` where there is a network, or point EMBEDLAB_DATA at a "
        "folder that holds it."
    )


def fetch(name: str) -> list[Path]:
    """Paths of the files of the set `name`, all present and verified, downloading what is missing.

    A download goes to a temporary name, is checked, then renamed: a truncated or altered one is
    refused and removed, and the next call fetches it anew. A lock makes two processes that ask
    for the same set share one download. A complete set is never locked or written to, so a
    read-only folder works.

    Parameters
    ----------
    name : str
        A name in the manifest, such as ``"fashion-mnist"``.

    Returns
    -------
    list of pathlib.Path
        In the manifest's order.

    Raises
    ------
    DataUnavailable
        With no network, with ``EMBEDLAB_OFFLINE=1``, with a folder that cannot be written, or
        when every source delivered bytes with the wrong checksum.
    """
    home = data_home()
    paths = [home / entry["path"] for entry in manifest()[name]["files"]]
    if not missing(name):
        return paths
    if offline():
        raise unavailable(name, "EMBEDLAB_OFFLINE is set")
    try:
        home.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(home / f".{name}.lock"):
            for entry in missing(name):  # asked again: another process may have just finished
                _download(name, entry, home / entry["path"])
    except (PermissionError, filelock.Timeout) as error:
        raise unavailable(name, f"the folder cannot be written: {error}") from error
    except OSError as error:
        if isinstance(error, DataUnavailable):
            raise
        raise unavailable(name, f"the folder cannot be written: {error}") from error
    return paths


def _download(name: str, entry: dict, target: Path) -> None:
    """Try each base URL in turn; leave `target` whole and verified, or absent."""
    if target.exists():
        warnings.warn(
            f"{target} fails its checksum and is downloaded anew.", RuntimeWarning, stacklevel=3
        )
        target.unlink()
    target.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target.parent).free
    if free < entry["bytes"]:
        raise unavailable(name, f"{entry['bytes']:,} bytes needed on that disk, {free:,} free")
    reasons = []
    for base in manifest()[name]["urls"]:
        downloader = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT)
        try:
            pooch.retrieve(
                base + target.name,
                known_hash=entry["hash"],
                fname=target.name,
                path=target.parent,
                downloader=downloader,
            )
            return
        except requests.exceptions.RequestException as error:
            reasons.append(f"{base}: {type(error).__name__}")
        except ValueError:  # pooch's word for a wrong checksum; it has removed the file
            reasons.append(f"{base}: the download failed its checksum and was removed")
    raise unavailable(name, "; ".join(reasons))
