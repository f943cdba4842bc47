"""Exercises of lesson 05: cutting an image into patches, attention, and attention rollout."""

from __future__ import annotations

import torch

from embedlab.lessons.exercises import Exercise, Wrong
from embedlab.lessons.tensors import checked, same

# --- patches ------------------------------------------------------------------------------------


def cut(x, p):
    """Images (N, C, H, W) to patches (N, H/p * W/p, C*p*p): row by row, each flattened."""
    return ...


def cut_solution(x, p):
    """Images (N, C, H, W) to patches (N, H/p * W/p, C*p*p): row by row, each flattened."""
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // p, p, w // p, p)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(n, (h // p) * (w // p), c * p * p)


def _only_reshaped(x, p):
    n, c, h, w = x.shape
    return x.reshape(n, (h // p) * (w // p), c * p * p)


def _column_by_column(x, p):
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // p, p, w // p, p)
    return x.permute(0, 4, 2, 1, 3, 5).reshape(n, (h // p) * (w // p), c * p * p)


def _transposed_inside(x, p):
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // p, p, w // p, p)
    return x.permute(0, 2, 4, 1, 5, 3).reshape(n, (h // p) * (w // p), c * p * p)


def _colours_last(x, p):
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // p, p, w // p, p)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(n, (h // p) * (w // p), c * p * p)


def _every_pth_pixel(x, p):
    n, c, h, w = x.shape
    x = x.reshape(n, c, p, h // p, p, w // p)
    return x.permute(0, 3, 5, 1, 2, 4).reshape(n, (h // p) * (w // p), c * p * p)


def _test_cut(answer):
    x = torch.arange(2 * 3 * 8 * 12.0).reshape(2, 3, 8, 12)
    p = 4
    value = checked(answer, cut_solution(x, p), x, p)
    if torch.equal(value, cut_solution(x, p)):
        other = torch.arange(3 * 1 * 6 * 4.0).reshape(3, 1, 6, 4)
        if not torch.equal(
            checked(answer, cut_solution(other, 2), other, 2), cut_solution(other, 2)
        ):
            raise Wrong("With another size of image or patch it is off: is a number typed in?")
        return
    if torch.equal(value, _only_reshaped(x, p)):
        raise Wrong(
            "Only reshaped: a 'patch' is now a strip of pixels that lie behind each other in "
            "memory, not a square. Split H and W into (patches, p), then permute."
        )
    if torch.equal(value, _column_by_column(x, p)):
        raise Wrong("The patches come column by column: the second one is the right neighbour.")
    if torch.equal(value, _transposed_inside(x, p)):
        raise Wrong("Each patch is mirrored at its diagonal: its rows come before its columns.")
    if torch.equal(value, _colours_last(x, p)):
        raise Wrong(
            "The colours change fastest inside a patch: a convolution's weights have them first."
        )
    if torch.equal(value, _every_pth_pixel(x, p)):
        raise Wrong("These are grids of every so many pixels: H is (patches, p), in this order.")
    raise Wrong("Patch 1 should be x[:, :, :p, p:2*p], flattened: colours, rows, columns.")


patches_exercise = Exercise(
    name="05-patches",
    stub=cut,
    test=_test_cut,
    hints=(
        "No loop is needed: give H and W two axes each, and change the order of the axes.",
        "x.reshape(n, c, h // p, p, w // p, p) has the axes image, colour, patch row, row, patch "
        "column, column. Which two should come right after the image?",
        ".permute(0, 2, 4, 1, 3, 5), then reshape to (n, patches, c * p * p).",
    ),
    solution=cut_solution,
    wrong=(
        (_only_reshaped, "Only reshaped"),
        (_column_by_column, "column by column"),
        (_transposed_inside, "mirrored at its diagonal"),
        (_colours_last, "colours change fastest"),
        (_every_pth_pixel, "every so many pixels"),
    ),
)

# --- attention ----------------------------------------------------------------------------------


def attend(query, key, value):
    """One head of attention; query, key and value are (T, D), and so is the answer."""
    return ...


def attend_solution(query, key, value):
    """One head of attention; query, key and value are (T, D), and so is the answer."""
    weights = (query @ key.T / query.shape[1] ** 0.5).softmax(dim=1)
    return weights @ value


def _not_scaled(query, key, value):
    return (query @ key.T).softmax(dim=1) @ value


def _scaled_by_length(query, key, value):
    return (query @ key.T / query.shape[1]).softmax(dim=1) @ value


def _keys_share(query, key, value):
    return (query @ key.T / query.shape[1] ** 0.5).softmax(dim=0) @ value


def _key_asks(query, key, value):
    return (key @ query.T / query.shape[1] ** 0.5).softmax(dim=1) @ value


def _no_softmax(query, key, value):
    return query @ key.T / query.shape[1] ** 0.5 @ value


def _mixes_keys(query, key, value):
    return (query @ key.T / query.shape[1] ** 0.5).softmax(dim=1) @ key


def _test_attend(answer):
    generator = torch.Generator().manual_seed(0)
    args = torch.randn(3, 6, 4, generator=generator).unbind()
    out = checked(answer, attend_solution(*args), *args)
    if same(out, attend_solution(*args)):
        other = torch.randn(3, 5, 9, generator=generator).unbind()
        if not same(checked(answer, attend_solution(*other), *other), attend_solution(*other)):
            raise Wrong("With tokens of another length it is off: is a number typed in?")
        return
    for wrong, words in (
        (_not_scaled, "The scores are not scaled: divide them by the square root of D."),
        (_scaled_by_length, "Divided by D itself: it is its square root that keeps scores near 1."),
        (_keys_share, "The softmax runs down the wrong axis: each *query's* weights sum to one."),
        (_key_asks, "Keys and queries have changed places: row i holds what token i looks for."),
        (_no_softmax, "The softmax is missing: weights are positive and sum to one."),
        (_mixes_keys, "The weights mix the keys: what tokens hand over is their value."),
    ):
        if same(out, wrong(*args)):
            raise Wrong(words)
    raise Wrong("Not softmax(query keyᵀ / √D) times value.")


attention_exercise = Exercise(
    name="05-attention",
    stub=attend,
    test=_test_attend,
    hints=(
        "Row i of query is what token i looks for, row j of key what token j has to offer. How "
        "well do they fit?",
        "query @ key.T is (T, T). Divide by the square root of D, and let each row sum to one.",
        "(query @ key.T / query.shape[1] ** 0.5).softmax(dim=1) @ value",
    ),
    solution=attend_solution,
    wrong=(
        (_not_scaled, "not scaled"),
        (_scaled_by_length, "Divided by D itself"),
        (_keys_share, "wrong axis"),
        (_key_asks, "changed places"),
        (_no_softmax, "softmax is missing"),
        (_mixes_keys, "mix the keys"),
    ),
)

# --- rollout ------------------------------------------------------------------------------------


def rollout(attention):
    """Attention (layers, heads, T, T) of one image, to what each last token is made of, (T, T)."""
    return ...


def rollout_solution(attention):
    """Attention (layers, heads, T, T) of one image, to what each last token is made of, (T, T)."""
    mixing = (attention.mean(dim=1) + torch.eye(attention.shape[-1])) / 2
    out = mixing[0]
    for layer in mixing[1:]:
        out = layer @ out
    return out


def _no_skip(attention):
    out = torch.eye(attention.shape[-1])
    for layer in attention.mean(dim=1):
        out = layer @ out
    return out


def _last_first(attention):
    out = torch.eye(attention.shape[-1])
    for layer in attention.mean(dim=1):
        out = out @ (layer + torch.eye(len(layer))) / 2
    return out


def _not_halved(attention):
    out = torch.eye(attention.shape[-1])
    for layer in attention.mean(dim=1):
        out = (layer + torch.eye(len(layer))) @ out
    return out


def _mean_of_layers(attention):
    return (attention.mean(dim=(0, 1)) + torch.eye(attention.shape[-1])) / 2


def _last_layer(attention):
    return (attention[-1].mean(dim=0) + torch.eye(attention.shape[-1])) / 2


def _heads_summed(attention):
    out = torch.eye(attention.shape[-1])
    for layer in attention.sum(dim=1):
        out = (layer + torch.eye(len(layer))) / 2 @ out
    return out


def _test_rollout(answer):
    generator = torch.Generator().manual_seed(0)
    attention = torch.randn(3, 2, 5, 5, generator=generator).mul(2).softmax(dim=3)
    out = checked(answer, rollout_solution(attention), attention)
    if same(out, rollout_solution(attention)):
        other = torch.randn(2, 4, 7, 7, generator=generator).softmax(dim=3)
        if not same(checked(answer, rollout_solution(other), other), rollout_solution(other)):
            raise Wrong("With another number of layers or heads it is off: is a number typed in?")
        return
    for wrong, words in (
        (_no_skip, "The skip connection is missing: half of a token is what it was before."),
        (_last_first, "The order is reversed: the last layer mixes what the first has mixed."),
        (_not_halved, "The rows sum to more than one: halve attention plus identity."),
        (_mean_of_layers, "Layers act one after the other: multiply them, do not average."),
        (_last_layer, "Only the last layer counts here: what it mixes was mixed before."),
        (_heads_summed, "Heads are averaged, not summed: else a layer gives out more than it has."),
    ):
        if same(out, wrong(attention)):
            raise Wrong(words)
    raise Wrong("Not the product of (mean over heads + identity) / 2, the last layer leftmost.")


rollout_exercise = Exercise(
    name="05-rollout",
    stub=rollout,
    test=_test_rollout,
    hints=(
        "Average the heads first. What does the skip connection of each block mean for who is "
        "made of whom?",
        "Each layer's mixing is (mean over heads + identity) / 2. The second layer mixes what the "
        "first has mixed.",
        "out = mixing[0]; then for each later layer: out = layer @ out.",
    ),
    solution=rollout_solution,
    wrong=(
        (_no_skip, "skip connection is missing"),
        (_last_first, "order is reversed"),
        (_not_halved, "more than one"),
        (_mean_of_layers, "do not average"),
        (_last_layer, "Only the last layer"),
        (_heads_summed, "averaged, not summed"),
    ),
)
