"""Networks that others trained: the real EfficientNet-Lite0, and tiny ones saved to disk."""

import copy
import hashlib
import io
import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from skimage import data
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from timm.models import create_feature_extractor  # torchvision's, which cannot trace timm's alone
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor, ViTModel

from embedlab.data import weights
from embedlab.data.download import DataUnavailable
from embedlab.embedders import Pretrained
from embedlab.embedders.pretrained_clip import PretrainedCLIP
from tests.test_pretrained_clip import save_tiny

SQUEEZENET = "squeezenet1_0-b66bff10.pth"


@pytest.fixture(scope="module")
def lite0():
    return Pretrained().fit()


@pytest.fixture(scope="module")
def photographs():
    return [Image.fromarray(getattr(data, name)()) for name in ("cat", "coffee", "camera")]


@pytest.fixture(scope="module")
def ready(lite0, photographs):
    """The photographs as the network takes them, (3, 3, 224, 224)."""
    return torch.stack([lite0.preprocess_(picture.convert("RGB")) for picture in photographs])


def pixels(n=4, channels=3, side=32):
    """Whole 8-bit values, as floats in [0, 1]."""
    x = np.random.default_rng(channels).integers(0, 256, (n, channels, side, side))
    return (x / 255).astype(np.float32)


def as_pictures(x):
    return [Image.fromarray((255 * p).round().astype(np.uint8).transpose(1, 2, 0)) for p in x]


def drawn(make):
    """A network with weights that the seed gives, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval()


# --- EfficientNet-Lite0 ---------------------------------------------------------------------------


def test_it_knows_what_is_in_the_photographs(lite0, photographs):
    """The classes of ImageNet: tiger cat, espresso, tripod."""
    logits = lite0.at(layer="classifier").transform(photographs)
    assert logits.shape == (3, 1000)
    assert logits.argmax(axis=1).tolist() == [282, 967, 872]
    odds = torch.from_numpy(logits).softmax(dim=1).amax(dim=1)
    np.testing.assert_allclose(odds, [0.39, 0.95, 0.94], atol=0.01)


def test_the_head_cut_off_in_four_ways(lite0, photographs, ready):
    """Children cut, hook, torchvision's feature extractor, timm: all the same vectors."""
    network, seen = copy.deepcopy(lite0.network_), []
    network.global_pool.register_forward_hook(lambda module, given, out: seen.append(out))
    with torch.inference_mode():
        children = torch.nn.Sequential(*list(network.children())[:-1])(ready)
        network(ready)
        extractor = create_feature_extractor(network, ["global_pool"])
        extracted = extractor(ready)["global_pool"]
        headless = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
        headless.load_state_dict(network.state_dict(), strict=False)
        pooled = network.forward_features(ready).mean(dim=(2, 3))
        ways = [children, seen[0], extracted, headless(ready), pooled]
    ours = lite0.transform(photographs)
    assert ours.shape == (3, 1280)
    assert ours.dtype == np.float32
    for way in ways:
        np.testing.assert_allclose(way, ours, atol=1e-6)
    assert np.abs(ours[0] - ours[1]).max() > 0.1


def test_an_array_and_the_pictures_it_was_read_from(lite0):
    """Bit for bit, at 32 pixels: both are enlarged by the network's own preprocessing."""
    x = pixels()
    np.testing.assert_array_equal(lite0.transform(x), lite0.transform(as_pictures(x)))


def test_a_grey_array_is_the_colour_array_of_equal_channels(lite0):
    x = pixels(channels=1)
    colour = np.repeat(x, 3, axis=1)
    np.testing.assert_array_equal(lite0.transform(x), lite0.transform(colour))


def test_pictures_of_any_mode_and_turned_by_exif(lite0):
    colour = as_pictures(pixels(1, side=64))[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = io.BytesIO()
    colour.transpose(Image.ROTATE_90).save(turned, "png", exif=exif)
    stored = Image.open(turned)
    clear = colour.convert("RGBA")
    v = lite0.transform([colour, stored, clear])
    np.testing.assert_allclose(v, v[[0, 0, 0]], atol=1e-5)


def test_ready_tensors(lite0, photographs, ready):
    v = lite0.embed_tensors(ready)
    np.testing.assert_allclose(v, lite0.transform(photographs), atol=1e-6)


def test_batches_and_neighbours_change_nothing(lite0, photographs):
    few = lite0.at(batch_size=2).transform(photographs)
    np.testing.assert_allclose(few, lite0.transform(photographs), atol=1e-5)


@pytest.mark.parametrize("layer", ["conv_stem", "blocks.1", "blocks.3.1.conv_pw", "conv_head"])
def test_any_layer_by_name_and_pooled(lite0, layer, photographs, ready):
    with torch.inference_mode():
        network = copy.deepcopy(lite0.network_)
        maps = create_feature_extractor(network, {layer: "maps"})(ready)["maps"]
    assert maps.ndim == 4
    wanted = {"avg": maps.mean((2, 3)), "max": maps.amax((2, 3)), "flatten": maps.flatten(1)}
    for global_pool, expected in wanted.items():
        v = lite0.at(layer=layer, global_pool=global_pool).transform(photographs)
        np.testing.assert_allclose(v, expected, atol=1e-5)


def test_no_hook_stays_behind_and_the_forward_pass_stops_early(lite0, photographs):
    ran = []
    hook = lite0.network_.classifier.register_forward_hook(lambda *_: ran.append(1))
    lite0.at(layer="blocks.2").transform(photographs)
    hook.remove()
    assert not ran
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in lite0.network_.modules())


def test_clone_pickle_and_not_fitted(lite0, photographs):
    again = clone(lite0)
    assert again.get_params() == {
        "model": "efficientnet-lite0",
        "layer": None,
        "global_pool": "avg",
        "batch_size": 64,
    }
    for ask in (again.transform, again.embed_tensors):
        with pytest.raises(NotFittedError):
            ask(photographs)
    v = lite0.transform(photographs)
    np.testing.assert_array_equal(again.fit().transform(photographs), v)
    assert again.weights_ == lite0.weights_
    copied = pickle.loads(pickle.dumps(lite0))
    np.testing.assert_array_equal(copied.transform(photographs), v)
    assert not lite0.network_.training


def test_fitted_on_one_size_it_embeds_another(lite0):
    v = clone(lite0).fit(pixels(2)).transform(pixels(2, side=40))
    assert v.shape == (2, 1280)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"layer": "blok.3"}, r"layer='blok\.3' is no layer of .*Use blocks\.3"),
        ({"layer": ""}, "layer='' is no layer of"),
        ({"global_pool": "mean"}, "global_pool='mean' must be one of avg, max"),
        ({"batch_size": 0}, "batch_size=0 must be a whole number"),
    ],
)
def test_wrong_parameters(lite0, params, words):
    with pytest.raises(ValueError, match=words):
        lite0.at(**params)


def test_a_first_token_is_asked_of_a_map(lite0, photographs):
    with pytest.raises(ValueError, match=r"global_pool='cls': \(3, 24, 56, 56\) are no tokens"):
        lite0.at(layer="blocks.1", global_pool="cls").transform(photographs)


def test_what_is_no_picture(lite0, photographs):
    with pytest.raises(TypeError, match=r"single picture: pass a list"):
        lite0.transform(photographs[0])
    with pytest.raises(TypeError, match=r"X\[1\] is str, not a PIL image"):
        lite0.transform([photographs[0], "cat.jpg"])
    with pytest.raises(TypeError, match="divide 8-bit pixels by 255"):
        lite0.transform(np.zeros((2, 3, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="0 sample"):
        lite0.transform(np.zeros((0, 3, 8, 8), np.float32))


# --- torchvision ----------------------------------------------------------------------------------


@pytest.fixture
def torch_home(tmp_path, monkeypatch, no_network):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    return tmp_path / "hub/checkpoints"


def put(folder: Path, model: str, content, monkeypatch, digest="") -> Path:
    """Content under the name that torchvision gives to a file with this hash."""
    path = folder / "draft"
    torch.save(content, path)
    digest = digest or hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    entry = torchvision.models.get_model_weights(model).DEFAULT
    monkeypatch.setattr(entry.value, "url", f"https://example.org/{model}-{digest}.pth")
    return path.rename(folder / f"{model}-{digest}.pth")


def test_resnet50_with_its_last_layer_cut_off(torch_home, monkeypatch):
    """With random weights, in the place and form that torchvision's own have."""
    resnet = drawn(torchvision.models.resnet50)
    put(torch_home, "resnet50", resnet.state_dict(), monkeypatch)
    ours = Pretrained("resnet50").fit()
    preset = torchvision.models.ResNet50_Weights.DEFAULT.transforms()
    x = pixels(2)
    batch = torch.stack([preset(picture) for picture in as_pictures(x)])
    children = torch.nn.Sequential(*list(resnet.children())[:-1])
    extractor = create_feature_extractor(resnet, ["flatten", "layer2.1.conv2"])
    with torch.inference_mode():
        cut, extracted, logits = children(batch).flatten(1), extractor(batch), resnet(batch)
    v = ours.transform(x)
    assert v.shape == (2, 2048)
    np.testing.assert_allclose(v, cut, atol=1e-6)
    np.testing.assert_allclose(v, extracted["flatten"], atol=1e-6)
    np.testing.assert_allclose(ours.at(layer="fc").transform(x), logits, atol=1e-5)
    early = ours.at(layer="layer2.1.conv2").transform(x)
    np.testing.assert_allclose(early, extracted["layer2.1.conv2"].mean((2, 3)), atol=1e-6)


@pytest.mark.parametrize(
    ("model", "length"),
    [
        ("squeezenet1_1", 512),
        ("mobilenet_v3_small", 1024),
        ("shufflenet_v2_x0_5", 1024),
        ("googlenet", 1024),
    ],
)
@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")
def test_other_classifiers_of_torchvision(model, length, torch_home, monkeypatch):
    theirs = drawn(lambda: torchvision.models.get_model(model))
    put(torch_home, model, theirs.state_dict(), monkeypatch)
    ours = Pretrained(model).fit()
    assert ours.transform(pixels(1)).shape == (1, length)
    assert not ours.network_.training


def test_the_maps_of_a_swin_transformer_have_their_channels_last(torch_home, monkeypatch):
    put(torch_home, "swin_t", drawn(torchvision.models.swin_t).state_dict(), monkeypatch)
    ours = Pretrained("swin_t").fit()
    x = pixels(1)
    assert ours.transform(x).shape == (1, 768)
    assert ours.at(layer="features.1").transform(x).shape == (1, 96)
    assert ours.at(layer="features.0.0").transform(x).shape == (1, 96)  # a convolution: first


class Marker:
    """What a forged file could hold: reading it as a pickle runs code."""

    def __reduce__(self):
        return os.mkdir, (os.environ["MARKER"],)


def test_a_forged_file_runs_no_code(torch_home, monkeypatch, tmp_path):
    monkeypatch.setenv("MARKER", str(tmp_path / "it ran"))
    put(torch_home, "squeezenet1_1", {"a": Marker()}, monkeypatch)
    with pytest.raises(pickle.UnpicklingError):
        Pretrained("squeezenet1_1").fit()
    assert not (tmp_path / "it ran").exists()
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


def test_a_file_with_another_hash_is_refused(torch_home, monkeypatch):
    path = put(torch_home, "squeezenet1_1", {}, monkeypatch, digest="0badc0de")
    with pytest.raises(DataUnavailable, match=rf"{path} is not the published model"):
        Pretrained("squeezenet1_1").fit()


def test_other_weights_of_the_same_network(torch_home):
    words = r"resnet50-0676ba61\.pth: run `embedlab fetch torchvision:resnet50\.IMAGENET1K_V1`"
    with pytest.raises(DataUnavailable, match=words):
        Pretrained("resnet50.IMAGENET1K_V1").fit()
    with pytest.raises(ValueError, match=r"no such weights\. Use resnet50\.IMAGENET1K_V1, "):
        Pretrained("resnet50.IMAGENET1K_V3").fit()


def test_squeezenet_knows_the_photographs(photographs):
    path = Path(torch.hub.get_dir(), "checkpoints", SQUEEZENET)
    if not path.is_file():
        pytest.skip(f"{path} is not there: embedlab fetch torchvision:squeezenet1_0")
    squeeze = Pretrained("squeezenet1_0").fit()
    assert squeeze.transform(photographs).shape == (3, 512)
    logits = squeeze.at(layer="classifier").transform(photographs)
    assert logits.argmax(axis=1)[1:].tolist() == [967, 872]


# --- timm, CLIP, transformers, a folder -----------------------------------------------------------


def save_timm(folder, name="vit_tiny_patch16_224", **kwargs):
    network = drawn(lambda: timm.create_model(name, num_classes=5, **kwargs))
    timm.models.save_for_hf(network, folder, safe_serialization=True)
    return network


@pytest.fixture(scope="module")
def timm_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("timm")
    return folder, save_timm(folder, img_size=64, depth=2)


def test_a_folder_of_timm(timm_folder, no_network):
    folder, network = timm_folder
    ours = Pretrained(folder).fit()
    x = pixels(2)
    batch = torch.stack([ours.preprocess_(picture) for picture in as_pictures(x)])
    assert batch.shape == (2, 3, 64, 64)
    with torch.inference_mode():
        tokens = network.forward_features(batch)
        block = create_feature_extractor(network, {"blocks.0": "out"})(batch)["out"]
    np.testing.assert_allclose(ours.transform(x), tokens[:, 0], atol=1e-6)
    for global_pool, wanted in {"cls": block[:, 0], "avg": block.mean(1)}.items():
        v = ours.at(layer="blocks.0", global_pool=global_pool).transform(x)
        np.testing.assert_allclose(v, wanted, atol=1e-6)


def test_timms_name_without_a_tag_is_the_one_that_timm_takes(empty_cache):
    name = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    with pytest.raises(DataUnavailable, match=f"run `embedlab fetch timm:{name}`"):
        Pretrained("timm/vit_tiny_patch16_224").fit()


def test_clips_image_tower(tmp_path, no_network):
    save_tiny(tmp_path / "clip")
    ours, clip = Pretrained(tmp_path / "clip").fit(), PretrainedCLIP(str(tmp_path / "clip")).fit()
    x = pixels(3)
    np.testing.assert_allclose(ours.transform(x), clip.transform(x), atol=1e-5)
    np.testing.assert_array_equal(ours.transform(x), ours.transform(as_pictures(x)))
    batch = torch.stack([ours.preprocess_(picture) for picture in as_pictures(x)])
    with torch.inference_mode():
        states = clip.network_.vision_model(batch, output_hidden_states=True).hidden_states
    first = ours.at(layer="vision_model.encoder.layers.0", global_pool="cls")
    np.testing.assert_allclose(first.transform(x), states[1][:, 0], atol=1e-5)
    with pytest.raises(ValueError, match="does not run when a picture is embedded"):
        ours.at(layer="text_model.encoder.layers.0").transform(x)


VIT = dict(
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    image_size=32,
    patch_size=8,
)


def test_another_image_model_of_transformers(tmp_path, no_network):
    """Saved as a classifier: its pooler has no weights, and a random one must not be used."""
    theirs = drawn(lambda: ViTForImageClassification(ViTConfig(**VIT)))
    theirs.save_pretrained(tmp_path)
    processor = ViTImageProcessor(size={"height": 32, "width": 32})
    processor.save_pretrained(tmp_path)
    x = pixels(3, side=40)
    one, two = Pretrained(tmp_path).fit(), Pretrained(tmp_path, global_pool="cls").fit()
    batch = processor(as_pictures(x), return_tensors="pt").pixel_values
    with torch.inference_mode():
        tokens = theirs.vit(batch).last_hidden_state
    np.testing.assert_allclose(one.transform(x), tokens.mean(1), atol=1e-5)
    np.testing.assert_allclose(two.transform(x), tokens[:, 0], atol=1e-5)
    assert one.weights_ == two.weights_


def test_a_folder_without_all_weights(tmp_path, no_network):
    model = drawn(lambda: ViTModel(ViTConfig(**VIT)))
    absent = "encoder.layer.1.", "layers.1."
    state = {k: v for k, v in model.state_dict().items() if not k.startswith(absent)}
    assert len(state) < len(model.state_dict())
    model.save_pretrained(tmp_path, state_dict=state)
    ViTImageProcessor().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="lacks weights"):
        Pretrained(tmp_path).fit()


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("resnt50", "neither a folder nor a model's name. Use resnet50"),
        ("eficientnet-lite0", "Use efficientnet-lite0"),
        ("vit_small_patch16_224", "Use timm/vit_small_patch16_224"),
        ("timm/vit_smal_patch16_224", "no model of timm. Use timm/vit_small_patch16_224"),
        ("zzzz", "Use efficientnet-lite0, resnet50"),
        ("", "'' is neither a folder nor a name"),
        ("./no/such", "neither a folder nor a name of the Hugging Face hub"),
    ],
)
def test_unknown_names_and_those_nearest(model, words, empty_cache):
    with pytest.raises(ValueError, match=words):
        Pretrained(model).fit()


@pytest.mark.parametrize(
    ("model", "command"),
    [
        ("openai/clip-vit-base-patch32", "clip:openai/clip-vit-base-patch32"),
        ("somebody/dinov2-tiny", "image:somebody/dinov2-tiny"),
    ],
)
def test_what_is_not_here_is_named_with_the_command_that_gets_it(model, command, empty_cache):
    with pytest.raises(DataUnavailable, match=f"run `embedlab fetch {command}` .* set HF_HOME"):
        Pretrained(model).fit()


def test_a_failed_refit_does_not_look_fitted(lite0, empty_cache):
    again = clone(lite0).fit().set_params(model="somebody/else")
    with pytest.raises(DataUnavailable):
        again.fit()
    with pytest.raises(NotFittedError):
        again.transform(pixels(1))


def test_fitting_and_embedding_warn_of_nothing(no_network):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Pretrained().fit().transform(pixels(1))


def test_the_hash_is_that_of_the_weights(lite0):
    state = weights.efficientnet_lite0()
    other = timm.create_model("tf_efficientnet_lite0")
    other.load_state_dict(state)
    assert weights.tensors_sha256(other) == lite0.weights_
    with torch.no_grad():
        other.classifier.bias[0] += 1e-6
    assert weights.tensors_sha256(other) != lite0.weights_
