import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as tv
from skimage import data

from benchmarks.jitter import ColorJitter, Sometimes
from embedlab.training.augment import (
    Affine,
    Blur,
    Brightness,
    Compose,
    Contrast,
    Elastic,
    Flip,
    Grayscale,
    Hue,
    ResizedCrop,
    Saturation,
    _affine_grid,
)

VIEWS = [
    Affine(),
    Elastic(),
    ResizedCrop(),
    Flip(),
    Brightness(),
    Contrast(),
    Saturation(),
    Hue(),
    Grayscale(),
    ColorJitter(),
    Blur(),
    Sometimes(Blur(3), 0.5),
    Compose((Flip(), Brightness(), Affine())),
]
each = pytest.mark.parametrize("view", VIEWS, ids=lambda v: type(v).__name__)

# Views at strength zero, and what they may differ by from doing nothing.
STILL = [
    (Affine(0, 0, 0, 0), 1e-5),
    (Elastic(0), 1e-5),
    (ResizedCrop(1, 1), 1e-5),
    (Flip(0), 0),
    (Brightness(0), 0),
    (Contrast(0), 1e-6),
    (Saturation(0), 1e-6),
    (Hue(0), 1e-3),
    (Grayscale(0), 0),
    (ColorJitter(0, 0, 0, 0), 1e-3),
    (Blur(0), 1e-6),
    (Sometimes(Blur(3), 0), 0),
    (Compose(()), 0),
]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    """Sixteen colour crops of a real photograph."""
    cat = torch.from_numpy(data.cat() / 255.0).float().permute(2, 0, 1)
    crops = cat[:, 60:188, 120:248].reshape(3, 4, 32, 4, 32)
    return crops.permute(1, 3, 0, 2, 4).reshape(16, 3, 32, 32).contiguous()


def draw_always(u, monkeypatch):
    """Make every number drawn this one, from -1 to 1."""
    for module in ("embedlab.training.augment", "benchmarks.jitter"):
        monkeypatch.setattr(f"{module}._draw", lambda x, g, *s: torch.full((*s, len(x)), u))


@each
@pytest.mark.parametrize("channels", [1, 3])
def test_a_view_keeps_shape_range_and_type(view, channels, photos):
    x = photos[:, :channels].contiguous()
    before = x.clone()
    y = view(x, seeded())
    assert y.shape == x.shape
    assert y.dtype == torch.float32
    assert y.min() >= -1e-6
    assert y.max() <= 1 + 1e-6
    assert torch.equal(x, before)  # the images themselves are left alone


@each
def test_same_seed_same_views(view, photos):
    a, b, c = (view(photos, seeded(s)) for s in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


@each
def test_each_image_gets_its_own_view(view, photos):
    same = photos[:1].expand(16, -1, -1, -1)
    views = view(same, seeded())
    assert len({v.numpy().tobytes() for v in views}) >= 2


@pytest.mark.parametrize(("view", "tolerance"), STILL, ids=lambda v: type(v).__name__)
def test_strength_zero_changes_nothing(view, tolerance, photos):
    torch.testing.assert_close(view(photos, seeded()), photos, atol=tolerance, rtol=0)


@pytest.mark.parametrize("view", [Saturation(1), Hue(0.5), Grayscale(1)])
def test_colour_views_leave_one_channel_alone(view, photos):
    x = photos[:, :1].contiguous()
    torch.testing.assert_close(view(x, seeded()), x)


def test_the_grid_is_torchs():
    matrix = torch.randn(5, 2, 3, generator=seeded())
    x = torch.zeros(5, 3, 32, 24)
    wanted = torch.nn.functional.affine_grid(matrix, list(x.shape), align_corners=False)
    torch.testing.assert_close(_affine_grid(matrix, x), wanted, atol=1e-6, rtol=0)


def test_flip_mirrors_its_share(photos):
    x = photos[:1].expand(2_000, -1, -1, -1)
    flipped = (Flip(0.3)(x, seeded()) == x.flip(3)).all(dim=3).all(dim=2).all(dim=1)
    assert 0.26 < flipped.float().mean() < 0.34
    assert torch.equal(Flip(1)(photos, seeded()), photos.flip(3))


@pytest.mark.parametrize(
    ("view", "theirs"),
    [
        (Brightness, tv.adjust_brightness),
        (Contrast, tv.adjust_contrast),
        (Saturation, tv.adjust_saturation),
    ],
)
@pytest.mark.parametrize("u", [-1.0, 0.4])
def test_light_and_colour_are_torchvisions(view, theirs, u, photos, monkeypatch):
    draw_always(u, monkeypatch)
    wanted = theirs(photos, 1 + 0.5 * u)
    torch.testing.assert_close(view(0.5)(photos, seeded()), wanted, atol=2e-3, rtol=0)


def test_grayscale_is_torchvisions(photos):
    wanted = tv.rgb_to_grayscale(photos, num_output_channels=3)
    torch.testing.assert_close(Grayscale(1)(photos, seeded()), wanted, atol=1e-3, rtol=0)


def test_hue_turns_colours_and_leaves_grey_and_luma_alone(photos):
    grey = Grayscale(1)(photos, seeded())
    torch.testing.assert_close(Hue(0.5)(grey, seeded()), grey, atol=2e-3, rtol=0)
    pale = 0.5 + 0.1 * (photos - 0.5)  # nothing is cut at 0 or 1
    turned = Hue(0.5)(pale, seeded())
    assert (turned - pale).abs().amax(dim=(1, 2, 3)).max() > 0.02
    luma = tv.rgb_to_grayscale
    torch.testing.assert_close(luma(turned), luma(pale), atol=2e-3, rtol=0)


def test_half_a_circle_turns_a_colour_into_its_complement(monkeypatch):
    draw_always(1.0, monkeypatch)
    red = torch.tensor([0.6, 0.5, 0.5]).view(1, 3, 1, 1).expand(2, 3, 4, 4).contiguous()
    luma = 0.299 * 0.6 + 0.701 * 0.5
    torch.testing.assert_close(Hue(0.5)(red, seeded()), 2 * luma - red, atol=1e-4, rtol=0)


@pytest.mark.parametrize("u", [-1.0, 0.3, 1.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_is_the_four_in_a_row(u, channels, photos, monkeypatch):
    """On pale images, where nothing is cut on the way."""
    draw_always(u, monkeypatch)
    pale = 0.3 + 0.1 * photos[:, :channels]
    four = Compose((Brightness(0.3), Contrast(0.4), Saturation(0.2), Hue(0.1)))
    wanted = four(pale, seeded())
    got = ColorJitter(0.3, 0.4, 0.2, 0.1)(pale, seeded())
    torch.testing.assert_close(got, wanted, atol=1e-3, rtol=0)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
def test_blur_spreads_a_point_as_a_gaussian(sigma, monkeypatch):
    draw_always(1.0, monkeypatch)
    x = torch.zeros(2, 1, 33, 33)
    x[:, :, 16, 16] = 1
    out = Blur(sigma)(x, seeded())
    assert out.sum().item() == pytest.approx(2, rel=0.02)
    place = torch.arange(33.0) - 16
    spread = (out[0, 0].sum(dim=0) * place.square()).sum().sqrt().item()
    assert spread == pytest.approx(sigma, rel=0.1)
    flat = torch.full((2, 3, 32, 32), 0.7)
    torch.testing.assert_close(Blur(sigma)(flat, seeded()), flat)  # the border too


def test_crops_of_white_stay_white():
    """At the image's edge nothing black is drawn in from outside."""
    x = torch.ones(500, 1, 32, 32)
    torch.testing.assert_close(ResizedCrop(0.3, ratio=2)(x, seeded()), x)


def test_crop_keeps_its_share_of_the_area_whatever_the_ratio():
    """A ramp along each axis: what is left of its range is the share of that side."""
    ramp = torch.linspace(0, 1, 32)
    x = torch.stack([ramp.expand(32, 32), ramp[:, None].expand(32, 32)])[:, None]
    for area, ratio in ((0.4, 4.0), (0.9, 2.0), (1.0, 2.0), (0.49, 1.0)):
        y = ResizedCrop(area, ratio)(x.repeat_interleave(400, 0), seeded(3))
        monotone = y[:400, 0, 16, 1:-1], y[400:, 0, 1:-1, 16]
        sides = [(m.amax(dim=1) - m.amin(dim=1)) * 31 / 29 * 31 / 32 for m in monotone]
        # Two batches of their own draws: the least area is bounded by the least sides.
        assert sides[0].min() > 0.96 * (area / ratio) ** 0.5
        assert max(s.max() for s in sides) <= 0.98


def test_crop_is_torchs_own_enlargement(monkeypatch):
    """The upper left quarter, enlarged: what F.interpolate makes of it, away from the border."""
    drawn = torch.tensor([-1.0, 0.0, -1.0, -1.0])[:, None]
    monkeypatch.setattr("embedlab.training.augment._draw", lambda x, g, *s: drawn.expand(4, len(x)))
    x = torch.rand(3, 1, 32, 32, generator=seeded())
    wanted = torch.nn.functional.interpolate(
        x[:, :, :16, :16], (32, 32), mode="bilinear", align_corners=False
    )
    got = ResizedCrop(area=0.25, ratio=1)(x, seeded())
    torch.testing.assert_close(got[..., 1:-1, 1:-1], wanted[..., 1:-1, 1:-1], atol=1e-5, rtol=0)


def test_elastic_moves_no_farther_than_its_strength():
    x = torch.zeros(300, 1, 32, 32)
    x[:, :, 16, 16] = 1
    out = Elastic(0.1, 4)(x, seeded())
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    weight = out[:, 0] / out.sum(dim=(1, 2, 3)).clamp(min=1e-6)[:, None, None]
    seen = out.sum(dim=(1, 2, 3)) > 0.2
    for place in (rows, columns):
        moved = ((weight * place).sum(dim=(1, 2)) - 16).abs()[seen]
        assert moved.max() > 1
        assert moved.max() < 0.1 * 32 * 1.6  # a bicubic surface may overshoot its points


def test_numpys_numbers_are_numbers(photos):
    for view in (Blur(np.int64(1)), Brightness(np.float32(0.1)), Elastic(points=np.int64(4))):
        assert view(photos, seeded()).shape == photos.shape


def test_views_are_values():
    """Equal strengths, equal views: they can be compared, hashed and printed."""
    assert Blur(3) == Blur(3)
    assert Blur(3) != Blur(2)
    assert len({Flip(), Flip(), Hue()}) == 2
    assert repr(Blur(0.2)) == "Blur(sigma=0.2)"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Affine(degrees=-1), "Affine: degrees=-1"),
        (lambda: Affine(scale=1.5), "scale=1.5"),
        (lambda: Affine(shear=90), "shear=90"),
        (lambda: Sometimes(Flip(), "often"), "p='often'"),
        (lambda: Elastic(points=1), "points=1"),
        (lambda: Elastic(points=2.5), "points=2.5 must be a whole number"),
        (lambda: ResizedCrop(area=0), "area=0"),
        (lambda: ResizedCrop(area=1.5), "area=1.5"),
        (lambda: ResizedCrop(ratio=0.5), "ratio=0.5"),
        (lambda: Flip(p=1.1), "Flip: p=1.1"),
        (lambda: Grayscale(p=-0.1), "Grayscale: p=-0.1"),
        (lambda: Brightness(float("nan")), "Brightness: strength=nan"),
        (lambda: Hue(0.6), "strength=0.6"),
        (lambda: ColorJitter(hue=0.6), "hue=0.6"),
        (lambda: Blur("wide"), "Blur: sigma='wide'"),
        (lambda: Blur(float("inf")), "Blur: sigma=inf"),
        (lambda: Sometimes(Flip(), 2), "Sometimes: p=2"),
    ],
)
def test_bad_strengths(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@each
def test_views_run_under_bf16_autocast(view, photos):
    with torch.autocast("cpu", torch.bfloat16):
        low = view(photos, seeded())
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, view(photos, seeded()), atol=1e-6, rtol=0)
