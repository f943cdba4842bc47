"""Where downloaded bytes come from: the manifest, the data folder, the download, the checksum.

Nothing here knows what an image is. A *set* is a named list of files with their checksums in
``data/manifest.toml``; :func:`fetch` returns their paths, all verified, or raises one clear
:class:`DataUnavailable`. Files are looked for in, and downloaded to, one folder: ``EMBEDLAB_DATA``
where that is set (a USB stick, a class server's mount, a CI cache), otherwise ``data/`` of the
course. Its layout is torchvision's own.
"""

from __future__ import annotations

import shutil
import tomllib
import warnings
from functools import cache
from pathlib import Path

import filelock
import requests

from embedlab.settings import ROOT, data_home, offline

with warnings.catch_warnings():
    # It imports a progress bar for notebooks that wants ipywidgets; ours are plain text.
    warnings.filterwarnings("ignore", message="IProgress not found")
    import pooch

MANIFEST = ROOT / "data" / "manifest.toml"

# A laptop that has wifi but no internet should not hang: (to connect, between two chunks), seconds.
TIMEOUT = (10, 60)


class DataUnavailable(OSError):
    """A data set is neither on disk nor to be had now; the message says which command gets it."""


@cache
def _read_manifest(path: Path) -> dict:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def manifest() -> dict[str, dict]:
    """Every downloadable set by name: its title, base URLs and files (path, checksum, bytes)."""
    return _read_manifest(MANIFEST)


def _intact(path: Path, known_hash: str) -> bool:
    algorithm, _, digest = known_hash.partition(":")
    try:
        return path.is_file() and pooch.file_hash(str(path), alg=algorithm) == digest
    except FileNotFoundError:  # another process is just replacing it
        return False


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
    entries = manifest()[name]["files"]
    return [entry for entry in entries if not _intact(home / entry["path"], entry["hash"])]


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
        With no network, with ``EMBEDLAB_OFFLINE=1``, with a folder that cannot be read or written,
        or when every source delivered bytes with the wrong checksum.
    """
    home = data_home()
    paths = [home / entry["path"] for entry in manifest()[name]["files"]]
    try:
        if not missing(name):
            return paths
        if offline():
            raise unavailable(name, "EMBEDLAB_OFFLINE is set")
        home.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(home / f".{name}.lock"):
            for entry in missing(name):  # asked again: another process may have just finished
                _download(name, entry, home / entry["path"])
    except DataUnavailable:
        raise
    except OSError as error:
        raise unavailable(name, f"the folder cannot be read or written: {error}") from error
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
    # Not pooch.retrieve: its temporary file is private (mode 0600), so on a class server's mount
    # only who fetched a set could read it, and each killed process leaves another. This name is
    # fixed, and a leftover is overwritten.
    part = target.with_name(f".{target.name}.part")
    reasons = []
    try:
        for base in manifest()[name]["urls"]:
            download = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT)
            try:
                download(base + target.name, str(part), None)
            except requests.exceptions.RequestException as error:
                reasons.append(f"{base}: {type(error).__name__}")
                continue
            if _intact(part, entry["hash"]):
                part.replace(target)
                return
            reasons.append(f"{base}: the download failed its checksum and was removed")
    finally:
        part.unlink(missing_ok=True)
    raise unavailable(name, "; ".join(reasons))
