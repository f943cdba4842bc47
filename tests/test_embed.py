import copy
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from typer.testing import CliRunner

from embedlab import cli, embed, embedders
from embedlab.data.download import DataUnavailable
from embedlab.data.folder import read_image
from embedlab.data.things import looks_like_path
from embedlab.embedders import files
from embedlab.embedders.anything import key_of
from embedlab.lessons.lookalikes import similar
from embedlab.search import shards

NAMES = ("cat", "coffee", "rocket")


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    """The photographs as JPEG keeps them."""
    found = []
    for name in NAMES:
        file = io.BytesIO()
        Image.fromarray(getattr(data, name)()).resize((256, 256)).save(file, "JPEG")
        found.append(Image.open(file).copy())
    return found


@pytest.fixture(scope="module")
def photos(tmp_path_factory, photographs) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name, image in zip(NAMES, photographs, strict=True):
        image.save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def lite0():
    return embedders.Pretrained().fit()


@pytest.fixture(scope="module")
def expected(lite0, photographs):
    """By the transformer of scikit-learn's kind, one batch, no threads."""
    return lite0.transform(photographs)


@pytest.fixture(scope="module")
def lenet(few):
    x = few.train.x
    return embedders.Untrained(embedders.LeNet5()).fit(x, few.train.y)


# --- pictures ---------------------------------------------------------------------------------


def test_a_glob_a_list_of_paths_and_pictures_are_the_same_rows(
    photos, photographs, expected, lite0
):
    paths = [photos / f"{name}.png" for name in NAMES]
    assert expected.shape == (3, 1280)
    ways = (f"{photos}/*.png", paths, [*map(str, paths)], photographs, iter(paths))
    for what in ways:
        found = embed(what, lite0)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_one_picture_is_one_row(photos, photographs, expected, lite0):
    for what in (photos / "cat.png", str(photos / "cat.png"), photographs[0]):
        np.testing.assert_allclose(embed(what, lite0), expected[:1], atol=1e-5)


def test_arrays(photographs, expected, lite0):
    bytes_ = np.stack([np.asarray(image) for image in photographs])
    floats = bytes_.transpose(0, 3, 1, 2).astype(np.float32) / 255
    for what in (bytes_, list(bytes_), floats, torch.from_numpy(floats)):
        np.testing.assert_allclose(embed(what, lite0), expected, atol=1e-5)
    for what in (bytes_[0], floats[0]):
        np.testing.assert_allclose(embed(what, lite0), expected[:1], atol=1e-5)


def test_without_a_model_it_is_the_one_that_everybody_has(photos, expected):
    np.testing.assert_allclose(embed(photos / "cat.png"), expected[:1], atol=1e-5)


def test_workers_of_any_number_give_the_same_in_order(photos, photographs, expected, lite0):
    things = [photographs[i % 3] for i in range(10)]
    for workers in (1, 3):
        done = [*files.embed_pictures(things, lambda t: t, lite0, workers, batch_size=2)]
        assert [row for d in done for row in d.rows] == list(range(10))
        found = np.concatenate([d.vectors for d in done])
        np.testing.assert_allclose(found, expected[np.arange(10) % 3], atol=1e-5)


def test_an_inner_layer_is_each_picture_s_own_beside_other_workers(photographs):
    """It is read by a hook on the network: one that two threads share would mix pictures up."""
    inner = embedders.Pretrained(layer="blocks.1").fit()
    expected = inner.transform(photographs)
    found = embed([photographs[i % 3] for i in range(96)], inner)
    np.testing.assert_allclose(found, expected[np.arange(96) % 3], atol=1e-5)


def test_the_embedder_is_left_as_it_was(photographs, lite0):
    before = {name: tensor.clone() for name, tensor in lite0.network_.state_dict().items()}
    threads = torch.get_num_threads()
    embed(photographs, lite0)
    assert torch.get_num_threads() == threads
    assert next(lite0.network_.parameters()).device.type == "cpu"
    for name, tensor in lite0.network_.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_an_embedder_of_the_course_takes_files(photos, lenet, few, tmp_path):
    grey = [Image.open(photos / f"{name}.png").convert("L") for name in NAMES]
    small = np.stack([np.asarray(image.resize((32, 32), Image.LANCZOS)) for image in grey])
    found = embed(f"{photos}/*.png", lenet)
    near = lenet.transform(small[:, None].astype(np.float32) / 255)
    assert found.shape == near.shape
    assert np.abs(found - near).max() < 0.1 * np.abs(near).max()  # grey before or after resizing
    np.testing.assert_array_equal(embed(few.test.x, lenet), lenet.transform(few.test.x))


def test_a_saved_embedder_by_its_file(lenet, few, tmp_path):
    path = lenet.save(tmp_path / "lenet.safetensors")
    np.testing.assert_array_equal(embed(few.test.x, path), lenet.transform(few.test.x))
    np.testing.assert_array_equal(embed(few.test.x, str(path)), lenet.transform(few.test.x))


def test_a_colour_picture_is_what_read_image_makes_of_it(photos):
    pixels = embedders.Pixels().fit(np.zeros((2, 3, 32, 32), np.float32))
    found = embed(photos / "cat.png", pixels)
    expected = read_image(photos / "cat.png").astype(np.float32) / 255
    np.testing.assert_allclose(found, pixels.transform(expected[None]), atol=1e-6)


# --- texts ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def minilm():
    return embedders.TextEmbedder().fit()


def test_texts(minilm):
    texts = ["football", "soccer", "footwear"]
    expected = minilm.transform(texts)
    for what in (texts, tuple(texts), np.array(texts)):
        np.testing.assert_allclose(embed(what), expected, atol=1e-6)
    np.testing.assert_allclose(embed("football", minilm), expected[:1], atol=1e-5)
    cosine = expected @ expected.T
    assert cosine[0, 1] > cosine[0, 2]


@pytest.mark.parametrize(
    "path",
    r"cat.jpg|missing.JPG|a/b|photos/*|*|*.jpg|photos/cat?.png|./cat|~/cat|..\cat|C:\cat|my cat.png"
    r"|My Photos/*|/home/me/My Photos/cat|C:\My Photos\cat".split("|"),
)
def test_what_looks_like_a_path(path):
    assert looks_like_path(path)


@pytest.mark.parametrize(
    "text",
    "football|What?|his or hers / theirs|5 * 3 / 2|[MASK] is here.|He said *no*.|Version 2.0"
    "|e.g. this|a jpg|either/or is hard|1.".split("|"),
)
def test_what_looks_like_a_text(text):
    assert not looks_like_path(text)


# --- what is wrong with `what` ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "error", "said"),
    [
        ("missing.jpg", FileNotFoundError, "'missing.jpg' looks like a path.*TextEmbedder"),
        (["a.jpg", "b.jpg"], FileNotFoundError, "'a.jpg' looks like a path"),
        ("photos/*.jpg", FileNotFoundError, "'photos/.*' matches no file"),
        ([Path("cat")], FileNotFoundError, "'cat'.* no file"),
        ([], ValueError, "what is empty"),
        (np.empty((0, 3, 8, 8), np.float32), ValueError, "0 sample"),
        ("", ValueError, "no word in it"),
        (["football", " "], ValueError, r"what\[1\] is ' '"),
        (["football", "cat.jpg"], ValueError, "a text, 'football', beside .* 'cat.jpg'"),
        (3, TypeError, "what is int"),
        ([3], TypeError, r"what\[0\] is int"),
        (["football", 3], ValueError, "a text, 'football', beside"),
        (np.zeros((2, 5, 8, 8), np.float32), ValueError, "C = 1 or 3"),
        (np.full((2, 3, 8, 8), 9.0, np.float32), ValueError, r"must lie in \[0, 1\]"),
        ([np.zeros((3, 8, 8))], ValueError, "a picture is uint8"),
    ],
)
def test_wrong_things_are_named(what, error, said, lite0, minilm, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said):
        embed(what)


def test_a_folder_is_no_picture(photos):
    with pytest.raises(IsADirectoryError, match=r"\*\.jpg"):
        embed(photos)


def test_a_bad_file_is_named_and_its_row_is_nan(photos, expected, lite0, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    paths = [photos / "cat.png", bad, photos / "coffee.png"]
    with pytest.warns(UserWarning, match=rf"NaN \(1\)\. Row 1: {bad} cannot be read") as told:
        found = embed(paths, lite0)
    assert len(told) == 1
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[[0, 2]], expected[:2], atol=1e-5)
    with pytest.raises(ValueError, match=f"No picture .*Row 0: {bad}"):
        embed(bad, lite0)


def test_a_file_that_vanishes_meanwhile_is_named(photos, expected, lite0, tmp_path, monkeypatch):
    gone = tmp_path / "gone.png"
    gone.write_bytes((photos / "cat.png").read_bytes())
    real = files.embed_pictures

    def vanish(*args):
        gone.unlink()
        return real(*args)

    monkeypatch.setattr("embedlab.embedders.anything.embed_pictures", vanish)
    with pytest.warns(UserWarning, match=f"Row 0: .*{gone}"):
        found = embed([gone, photos / "coffee.png"], lite0)
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], expected[1], atol=1e-5)


def test_a_picture_too_large_to_be_safe_is_named(photos, lite0, tmp_path):
    huge = tmp_path / "huge.png"
    Image.new("1", (20_000, 20_000)).save(huge)
    with pytest.warns(UserWarning, match=f"Row 1: {huge}.*20000x20000|huge"):
        found = embed([photos / "cat.png", huge], lite0)
    assert np.isnan(found).any(axis=1).tolist() == [False, True]


def test_pictures_are_embedded_as_they_are_seen(photographs, expected, lite0, tmp_path):
    cat, exif = photographs[0], Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    cat.rotate(90, expand=True).save(tmp_path / "turned.png", exif=exif)
    cat.save(tmp_path / "moving.gif", save_all=True, append_images=photographs[1:])
    cat.convert("CMYK").save(tmp_path / "print.tif")
    deep = np.asarray(cat.convert("L"), np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "deep.png")
    seen = embed(sorted(tmp_path.iterdir()), lite0)  # deep, moving, print, turned
    grey = lite0.transform([cat.convert("L")])[0]
    cosine = lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b)  # noqa: E731
    assert cosine(seen[0], grey) > 0.9999
    assert cosine(seen[1], expected[0]) > 0.8  # of 256 colours
    assert cosine(seen[2], expected[0]) > 0.99
    assert cosine(seen[3], expected[0]) > 0.9999


# --- what is wrong with `model` ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "model", "error", "said"),
    [
        (["a cat"], "resnet50", ValueError, "model='resnet50' embeds pictures.*'minilm'"),
        (["a cat"], "efficientnet-lite0", ValueError, "embeds pictures"),
        (["a cat"], "timm/resnet18", ValueError, "embeds pictures"),
        ("picture", "minilm", ValueError, "model='minilm' embeds texts.*'efficientnet-lite0'"),
        ("picture", "openai:small", ValueError, "model='openai:small' embeds texts"),
        ("picture", "resnet51", ValueError, "resnet50"),
        ("picture", "efficientnet_lite0", ValueError, "efficientnet-lite0"),
        (["a cat"], "minilmm", DataUnavailable, "minilm"),
        (["a cat"], "distilbert-base-case", DataUnavailable, "distilbert-base-cased"),
        ("picture", 3, TypeError, "model is int"),
        ("picture", embedders.Pixels, TypeError, "model is "),
    ],
)
def test_wrong_models_are_named(what, model, error, said, photos, monkeypatch, empty_cache):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1/v1")
    with pytest.raises(error, match=said):
        embed(photos / "cat.png" if what == "picture" else what, model)


def test_embedders_of_the_other_kind_or_not_fitted_are_refused(photos, lenet, minilm):
    with pytest.raises(ValueError, match="model='Untrained' embeds pictures"):
        embed(["a cat"], lenet)
    with pytest.raises(ValueError, match="model='TextEmbedder' embeds texts"):
        embed(photos / "cat.png", minilm)
    with pytest.raises(ValueError, match="not fitted"):
        embed(photos / "cat.png", embedders.Pretrained())


# --- the commands -----------------------------------------------------------------------------


def invoke(*words):
    return CliRunner().invoke(cli.app, list(map(str, words)), env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def vectors(tmp_path_factory, photos):
    folder = tmp_path_factory.mktemp("out") / "vectors"
    done = invoke("embed", f"{photos}/*.png", "--out", folder)
    assert done.exit_code == 0, done.output
    assert "3 embedded, 0 known" in done.output
    return folder


def test_embed_stores_what_embed_gives(vectors, photos, expected, lite0):
    assert shards.key_of(vectors) == key_of(lite0)
    for name, vector in zip(NAMES, expected, strict=True):
        best = shards.nearest(vectors, vector, 1)[0]
        assert best.paths == [str(photos / f"{name}.png")]
        assert best.cosine == pytest.approx(1, abs=1e-5)


def test_a_second_run_says_that_nothing_was_to_do(vectors, photos):
    done = invoke("embed", f"{photos}/*.png", "--out", vectors)
    assert "0 embedded, 3 known" in done.output
    assert done.exit_code == 0


def test_what_fails_is_named_and_the_status_says_so(photos, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    done = invoke("embed", photos / "cat.png", bad, "--out", tmp_path / "vectors")
    assert done.exit_code == 1
    assert f"{bad} cannot be read as a picture" in done.output
    assert "1 embedded, 0 known before or the same as another, 1 failed" in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("embed", "none.jpg", "--out", "x"), "'none.jpg' looks like a path"),
        (("embed", "{photos}/*.png", "--out", "x", "--model", "minilm"), "embeds texts"),
        (("embed", "{photos}/*.png", "--out", "x", "--model", "resnet51"), "resnet50"),
        (("similar", "{photos}/cat.png", "x"), "x holds no vectors: `embedlab embed"),
        (("similar", "none.jpg", "{vectors}"), "'none.jpg' looks like a path"),
    ],
)
def test_wrong_words_are_named(words, said, photos, vectors, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = invoke(*(word.format(photos=photos, vectors=vectors) for word in words))
    assert done.exit_code == 2
    assert said in done.output
    assert not Path("x").exists()


def test_similar_names_the_nearest(vectors, photos, monkeypatch):
    monkeypatch.chdir(photos)
    done = invoke("similar", "coffee.png", vectors, "-k", "2")
    lines = done.output.splitlines()
    assert lines[0] == "1.000  coffee.png"
    assert len(lines) == 2


def test_similar_is_a_grid_of_pictures_in_a_notebook(vectors, photos, monkeypatch):
    shown = []
    monkeypatch.setattr("embedlab.show.plots.display", shown.append)
    similar(photos / "coffee.png", vectors, 2)._ipython_display_()
    (figure,) = shown
    assert "coffee.png at 1.000" in figure.alt
    assert figure.png.startswith(b"\x89PNG")


def test_similar_refuses_a_model_that_has_changed(photos, lenet, tmp_path):
    path = lenet.save(tmp_path / "model.safetensors")
    invoke("embed", photos / "cat.png", "--out", tmp_path / "vectors", "--model", path)
    other = copy.deepcopy(lenet)
    with torch.no_grad():
        next(other.network_.parameters()).add_(1)
    other.save(path)
    done = invoke("similar", photos / "cat.png", tmp_path / "vectors")
    assert done.exit_code == 2
    assert "with other weights" in done.output
