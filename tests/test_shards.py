import hashlib
import multiprocessing
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from embedlab.embedders.base import Embedder
from embedlab.embedders.files import embed_into
from embedlab.search import shards
from embedlab.search.exact import top_k
from embedlab.search.shards import Key, key_of, nearest, writing

KEY = Key("means", "ab" * 32)


@dataclass(eq=False)
class Means(Embedder):
    """The mean of each row of pixels: light, and slow enough to be killed.

    Like a real network's, its numbers may depend a little on the batch.
    """

    seconds: float = 0.0
    heeds_batch: float = 0.0

    pretrained = True
    image_shape_ = (3, 8, 8)

    def _fit(self, X, y):
        self.calls_ = []

    def _transform(self, X):
        time.sleep(self.seconds)
        return X.mean(axis=3).reshape(len(X), -1) + self.heeds_batch * len(X)


def picture(path: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> list[Path]:
    """Sixty pictures, two of them a second time, and a file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    found = [picture(folder / f"{i:02d}.png", i) for i in range(60)]
    for i in (3, 40):
        copy = folder / f"{i:02d} again.png"
        copy.write_bytes(found[i].read_bytes())
        found.append(copy)
    (folder / "broken.png").write_bytes(b"no picture")
    return [*found[:10], folder / "broken.png", *found[10:]]


def run(folder, paths, embedder=None, **options):
    said = []
    with writing(folder, KEY) as writer:
        summary = embed_into(
            writer, paths, embedder or Means().fit(), workers=2, report=said.append, **options
        )
    assert len(said) == len(summary.failed)
    return summary


def rows(folder) -> list[tuple]:
    """Every row that is stored: hash, path and vector."""
    return [
        (row["sha256"], row["path"], row["vector"] and tuple(row["vector"]))
        for path in shards.shards(folder)
        for row in pq.read_table(path).to_pylist()
    ]


def vectors(folder) -> list[tuple]:
    """Every vector that is stored, with its hash: a list, so that a double shows."""
    return sorted((sha256, vector) for sha256, _, vector in rows(folder) if vector)


def test_a_row_for_each_file_and_a_vector_for_each_content(tmp_path, photos):
    done = run(tmp_path, photos)
    assert (done.embedded, done.known) == (60, 2)
    assert [Path(path).name for path in done.failed] == ["broken.png"]
    stored = rows(tmp_path)
    assert {path for _, path, _ in stored} == {str(p) for p in photos if p.name != "broken.png"}
    assert len(stored) == 62
    assert len(vectors(tmp_path)) == 60 == len({sha256 for sha256, _ in vectors(tmp_path)})
    for sha256, path, vector in stored:
        content = Path(path).read_bytes()
        assert sha256 == hashlib.sha256(content).hexdigest()
        if vector:
            pixels = np.asarray(Image.open(path), np.float32) / 255
            np.testing.assert_allclose(vector, pixels.mean(axis=1).T.ravel(), atol=1e-6)


def test_a_second_run_embeds_nothing_and_a_changed_picture_only_itself(tmp_path, photos):
    home = tmp_path / "photos"
    home.mkdir()
    paths = [home / p.name for p in photos[:9]]
    for old, new in zip(photos, paths, strict=False):
        new.write_bytes(old.read_bytes())
    assert run(tmp_path / "vectors", paths).embedded == 9
    before = rows(tmp_path / "vectors")
    assert run(tmp_path / "vectors", paths) == (0, 9, {})
    assert rows(tmp_path / "vectors") == before
    picture(paths[4], 999)
    assert run(tmp_path / "vectors", paths)[:2] == (1, 8)
    paths[0].rename(home / "moved.png")
    assert run(tmp_path / "vectors", [home / "moved.png"])[:2] == (0, 1)
    assert rows(tmp_path / "vectors")[:9] == before


def test_the_nearest_are_those_of_the_whole_matrix(tmp_path, photos):
    run(tmp_path, photos, batch_size=4, shard_rows=7)
    assert len(shards.shards(tmp_path)) > 5
    stored = [row for row in rows(tmp_path) if row[2]]
    matrix = np.array([vector for *_, vector in stored], np.float32)
    query = matrix[17] + 0.01
    expected = [stored[i][1] for i in top_k(query[None], matrix, 5)[0]]
    found = nearest(tmp_path, query, 5)
    assert [match.paths[0] for match in found] == expected
    cosine = matrix @ query / np.linalg.norm(matrix, axis=1) / np.linalg.norm(query)
    np.testing.assert_allclose([m.cosine for m in found], np.sort(cosine)[:-6:-1], atol=1e-6)
    assert len(nearest(tmp_path, query, 100)) == 60


def test_both_files_of_a_content_are_found(tmp_path, photos):
    run(tmp_path, photos)
    copy = next(p for p in photos if p.name == "40 again.png")
    pixels = np.asarray(Image.open(copy), np.float32) / 255
    match = nearest(tmp_path, pixels.mean(axis=1).T.ravel(), 1)[0]
    assert [Path(p).name for p in match.paths] == ["40 again.png", "40.png"]


def test_a_file_is_found_by_what_it_holds_now(tmp_path):
    path = picture(tmp_path / "a.png", 1)
    old = np.asarray(Image.open(path), np.float32) / 255
    run(tmp_path / "vectors", [path, picture(tmp_path / "b.png", 2)])
    picture(path, 3)
    run(tmp_path / "vectors", [path])
    found = nearest(tmp_path / "vectors", old.mean(axis=1).T.ravel(), 9)
    assert len(found) == 2
    assert max(match.cosine for match in found) < 0.9999


def test_what_fails_is_named_and_the_rest_is_embedded(tmp_path, photos):
    gone, good = tmp_path / "gone.png", photos[0]
    broken = next(p for p in photos if p.name == "broken.png")
    again = tmp_path / "broken again.png"
    again.write_bytes(broken.read_bytes())
    nameless = tmp_path / "\udcff.png"  # a name that is no text
    nameless.write_bytes(photos[1].read_bytes())
    done = run(tmp_path / "vectors", [gone, broken, again, nameless, good])
    assert done.embedded == 1
    assert list(map(Path, done.failed)) == [gone, broken, nameless, again]
    assert "No such file" in done.failed[str(gone)]


def test_another_model_is_refused(tmp_path, photos):
    run(tmp_path, photos[:3])
    for key, said in [(Key("other", "ab"), "of other"), (Key("means", "cd"), "other weights")]:
        with pytest.raises(ValueError, match=f"{said}.*another folder"), writing(tmp_path, key):
            pass
    assert key_of(tmp_path) == KEY


def test_a_second_process_is_refused(tmp_path):
    with (
        writing(tmp_path, KEY),
        pytest.raises(BlockingIOError, match="Another process is writing"),
        writing(tmp_path, KEY),
    ):
        pass
    with writing(tmp_path, KEY):  # afterwards it is free
        pass


@pytest.mark.parametrize("damage", ["a byte", "the end", "all"])
def test_a_damaged_shard_is_named(tmp_path, photos, damage):
    run(tmp_path, photos[:9])
    (shard,) = shards.shards(tmp_path)
    content = bytearray(shard.read_bytes())
    vector = np.array(rows(tmp_path)[5][2], np.float32).tobytes()
    content[content.index(vector) + 1] ^= 1
    shard.write_bytes({"a byte": content, "the end": content[:-9], "all": b""}[damage])
    with pytest.raises(ValueError, match=f"{shard} is damaged.*Remove it"):
        nearest(tmp_path, np.ones(24), 1)
    shard.unlink()
    assert run(tmp_path, photos[:9]).embedded == 9


def test_without_vectors_there_is_a_command(tmp_path):
    with pytest.raises(FileNotFoundError, match="embedlab embed"):
        nearest(tmp_path, np.ones(24), 1)


@pytest.mark.skipif(sys.platform == "win32", reason="limits")
def test_where_the_disk_takes_no_more_nothing_is_half_written(tmp_path, photos):
    import resource

    run(tmp_path, photos[:8])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))
    try:
        with pytest.raises(OSError, match=f"{tmp_path} cannot be written .*goes on"):
            run(tmp_path, photos, batch_size=4, shard_rows=8)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    run(tmp_path, photos)
    assert len(vectors(tmp_path)) == 60


def test_what_was_computed_is_kept_where_it_is_stopped(tmp_path, photos):
    class Stopped(Means):
        def _transform(self, X):
            if len(self.calls_) == 2:
                raise KeyboardInterrupt
            self.calls_.append(0)
            return super()._transform(X)

    with pytest.raises(KeyboardInterrupt), writing(tmp_path, KEY) as writer:
        embed_into(writer, photos, Stopped().fit(), workers=1, batch_size=4)
    assert len(vectors(tmp_path)) == 8


def killed_run(folder, paths, started):
    """What a process does that will be killed."""
    embedder = Means(seconds=0.02, heeds_batch=0.01).fit()
    with writing(folder, KEY) as writer:
        started.set()
        embed_into(writer, paths, embedder, workers=2, batch_size=4, shard_rows=8)


@pytest.mark.skipif("forkserver" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_killed_at_any_moment_and_run_again_it_is_one_whole_run(tmp_path, photos):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # imports once what each process needs

    def start(folder):
        started = context.Event()
        process = context.Process(target=killed_run, args=(folder, photos, started))
        process.start()
        assert started.wait(120)
        return process

    start(tmp_path / "first").join()  # the fork server is up
    before = time.monotonic()
    start(tmp_path / "whole").join()
    seconds = time.monotonic() - before
    whole, amid = vectors(tmp_path / "whole"), 0
    rng = np.random.default_rng(7)
    for i, moment in enumerate(rng.uniform(0, seconds, 20)):
        folder = tmp_path / str(i)
        process = start(folder)
        time.sleep(moment)
        process.kill()
        process.join()
        kept = vectors(folder)
        assert set(kept) <= set(whole)
        first = {path for _, path, _ in rows(tmp_path / "whole")[: len(rows(folder))]}
        assert {path for _, path, _ in rows(folder)} == first  # none lost in between
        amid += 0 < len(kept) < 60
        shards_before = {p: p.read_bytes() for p in shards.shards(folder)}
        process = start(folder)
        process.join()
        assert process.exitcode == 0
        assert vectors(folder) == whole
        assert {p: p.read_bytes() for p in shards_before} == shards_before
        assert {row[:2] for row in rows(folder)} == {row[:2] for row in rows(tmp_path / "whole")}
        assert not list(folder.glob("*.part"))
    assert amid >= 3  # or no run was killed amid its work, and nothing was shown
