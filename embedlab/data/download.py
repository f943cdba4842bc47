"""Downloaded bytes: the manifest, the data folder, the download, the checksum.

A *set* is a named list of files with their checksums in ``data/manifest.toml``. Its files are
looked for in, and downloaded to, one folder: ``EMBEDLAB_DATA`` where that is set (a USB stick, a
class server's mount, a CI cache), otherwise ``data/`` of the course, in torchvision's own layout.
"""

import hashlib
import secrets
import tomllib
import warnings
from contextlib import suppress
from pathlib import Path

import requests
from tqdm import tqdm

from embedlab.settings import ROOT, data_home, offline

MANIFEST = ROOT / "data" / "manifest.toml"
# A laptop that has wifi but no internet should not hang: (to connect, between two chunks), seconds.
TIMEOUT = (10, 60)


class DataUnavailable(OSError):
    """What is neither on disk nor to be had now; the message says which command gets it."""


def manifest() -> dict[str, dict]:
    """Every downloadable set by name: its title, base URL and files (path, checksum, bytes)."""
    return tomllib.loads(MANIFEST.read_text(encoding="utf-8"))


def missing(name: str) -> list[dict]:
    """The manifest's entries of the files of a set that are absent or fail their checksum."""
    home = data_home()
    entries = manifest()[name]["files"]
    return [entry for entry in entries if not _intact(home / entry["path"], entry["hash"])]


def fetch(name: str) -> list[Path]:
    """Paths of the files of a set, in the manifest's order, downloading what is missing.

    All are verified. A complete set is only read, so a read-only folder works; where a set cannot
    be completed, :class:`DataUnavailable` says why.
    """
    home, source = data_home(), manifest()[name]
    try:
        for entry in missing(name):
            if offline():
                raise _unavailable(name, "EMBEDLAB_OFFLINE is set")
            target = home / entry["path"]
            if target.exists():
                message = f"{target} fails its checksum and is downloaded anew."
                warnings.warn(message, RuntimeWarning, stacklevel=2)
            if not _download(source["url"] + target.name, target, entry):
                raise _unavailable(name, "the download failed its checksum and was removed")
    except DataUnavailable:
        raise
    except requests.RequestException as error:
        raise _unavailable(name, f"{source['url']}: {type(error).__name__}") from error
    except OSError as error:
        reason = f"the folder cannot be read or written: {error}"
        raise _unavailable(name, reason) from error
    return [home / entry["path"] for entry in source["files"]]


def _download(url: str, target: Path, entry: dict) -> bool:
    """Put the file at `target`, whole and verified, or leave all as it was and return False."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own for each download, so that two at once do not write into one file; opened
    # as files are, so that the umask says who may read it: a class, on a teacher's mount.
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    bar = tqdm(total=entry["bytes"], unit="B", unit_scale=True, desc=target.name)
    try:
        with requests.get(url, stream=True, timeout=TIMEOUT) as answer, open(part, "wb") as file:
            answer.raise_for_status()
            for chunk in answer.iter_content(chunk_size=1 << 16):
                bar.update(file.write(chunk))
        whole = _intact(part, entry["hash"])
        if whole:
            part.replace(target)
        return whole
    finally:
        bar.close()
        part.unlink(missing_ok=True)


def _intact(path: Path, known_hash: str) -> bool:
    algorithm, _, digest = known_hash.partition(":")
    # It may not be there; or not any more, where another process is just replacing it.
    with suppress(FileNotFoundError, NotADirectoryError), open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == digest
    return False


def _unavailable(name: str, reason: str) -> DataUnavailable:
    """The one sentence a person gets when the set `name` is not to be had."""
    return DataUnavailable(
        f"The data set {name!r} is not in {data_home()} and cannot be downloaded ({reason}): "
        f"run `embedlab fetch {name}` where there is a network, or point EMBEDLAB_DATA at a "
        "folder that holds it."
    )
