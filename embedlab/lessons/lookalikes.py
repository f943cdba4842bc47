"""The pictures like a picture, among those that ``embedlab embed`` has embedded."""

from pathlib import Path

from embedlab.data.checks import check_positive
from embedlab.data.things import find_files
from embedlab.embedders.anything import embed, find_embedder, key_of
from embedlab.search import shards
from embedlab.show.matches import Matches


def similar(picture: str | Path, folder: str | Path, k: int = 5) -> Matches:
    """Find the embedded pictures nearest to a picture, by cosine.

    Parameters
    ----------
    picture : str or path
        A file.
    folder : str or path
        Which ``embedlab embed 'photos/*.jpg' --out FOLDER`` filled.
    k : int
        How many contents; files of the same content count once.

    Returns
    -------
    Matches
        A list of (cosine, paths), best first: in a notebook a grid of pictures.

    Raises
    ------
    FileNotFoundError
        Where there is no such picture, or the folder holds no vectors.
    ValueError
        For a damaged shard, a file that is no picture, and where the model has other weights now.
    """
    check_positive(k, "k")
    (file,) = find_files(picture)
    key = shards.key_of(folder)
    embedder = find_embedder("pictures", key.model)
    now = key_of(embedder, key.model)
    if now != key:
        raise ValueError(
            f"{folder} holds vectors of {key.model} with other weights (sha256 {key.weights[:12]}) "
            f"than it has now ({now.weights[:12]}): embed its files into another folder."
        )
    return Matches(file, shards.nearest(folder, embed(file, embedder)[0], k))
