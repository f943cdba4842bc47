"""Exercises of lesson 05: cutting an image into patches, attention, and attention rollout."""

import torch

from embedlab.lessons.exercises import Exercise, randn

# --- patches ------------------------------------------------------------------------------------


def cut(x, p):
    """Images (N, C, H, W) to patches (N, H/p * W/p, C*p*p): row by row, each flattened.

    x is a torch tensor, p a number of pixels.
    """
    n, c, h, w = x.shape
    x = x.reshape(n, c, h // p, p, w // p, p)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(n, (h // p) * (w // p), c * p * p)


def _axes(*order, of=(-1, "p")):
    """Patches with other axes first, or of another split of H and W."""

    def answer(x, p):
        split = [p if n == "p" else n for n in of]
        axes = x.unflatten(3, split).unflatten(2, split).permute(order)
        return axes.reshape(len(x), -1, x.shape[1] * p * p)

    return answer


patches = Exercise(
    name="05-patches",
    solution=cut,
    inputs=lambda: [
        (torch.arange(2 * 3 * 8 * 12.0).reshape(2, 3, 8, 12), 4),
        (torch.arange(3 * 1 * 6 * 4.0).reshape(3, 1, 6, 4), 2),
    ],
    answers=(
        (
            "Only reshaped: a 'patch' is now a strip of pixels that lie behind each other in "
            "memory, not a square. Split H and W into (patches, p), then permute.",
            lambda x, p: x.reshape(len(x), -1, x.shape[1] * p * p),
        ),
        (
            "The squares are cut, but colours still come before patches: permute before reshape.",
            _axes(0, 1, 2, 4, 3, 5),  # x.unfold(2, p, p).unfold(3, p, p), reshaped
        ),
        ("The patches come column by column, not row by row.", _axes(0, 4, 2, 1, 3, 5)),
        ("Each patch is mirrored at its diagonal: rows come first.", _axes(0, 2, 4, 1, 5, 3)),
        ("Colours change fastest in a patch: they are to come first.", _axes(0, 2, 4, 3, 5, 1)),
        (
            "These are grids of every so many pixels: H is (patches, p), in this order.",
            _axes(0, 3, 5, 1, 2, 4, of=("p", -1)),
        ),
    ),
    hints=(
        "No loop is needed: give H and W two axes each, and change the order of the axes.",
        "x.reshape(n, c, h // p, p, w // p, p) has the axes image, colour, patch row, row, patch "
        "column, column. Which two should come right after the image?",
        ".permute(0, 2, 4, 1, 3, 5), then reshape to (n, patches, c * p * p).",
    ),
)

# --- attention ----------------------------------------------------------------------------------


def attend(query, key, value):
    """One head of attention; query, key and value are (T, D), and so is the answer.

    All are torch tensors.
    """
    weights = (query @ key.T / query.shape[1] ** 0.5).softmax(dim=1)
    return weights @ value


one_head = Exercise(
    name="05-attention",
    solution=attend,
    inputs=lambda: [(*randn(3, 6, 4),), (*randn(3, 5, 9),)],
    answers=(
        (
            "The scores are not scaled: divide them by the square root of D.",
            lambda query, key, value: (query @ key.T).softmax(dim=1) @ value,
        ),
        (
            "Divided by D itself: it is its square root that keeps scores near 1.",
            lambda query, key, value: (query @ key.T / query.shape[1]).softmax(dim=1) @ value,
        ),
        (
            "The softmax runs down the wrong axis: each *query's* weights sum to one.",
            lambda query, key, value: (
                (query @ key.T / query.shape[1] ** 0.5).softmax(dim=0) @ value
            ),
        ),
        (
            "Keys and queries have changed places: row i holds what token i looks for.",
            lambda query, key, value: attend(key, query, value),
        ),
        (
            "The softmax is missing: weights are positive and sum to one.",
            lambda query, key, value: query @ key.T / query.shape[1] ** 0.5 @ value,
        ),
        (
            "The weights mix the keys: what tokens hand over is their value.",
            lambda query, key, value: attend(query, key, key),
        ),
    ),
    hints=(
        "Row i of query is what token i looks for, row j of key what token j has to offer. How "
        "well do they fit?",
        "query @ key.T is (T, T). Divide by the square root of D, and let each row sum to one.",
        "(query @ key.T / query.shape[1] ** 0.5).softmax(dim=1) @ value",
    ),
)

# --- rollout ------------------------------------------------------------------------------------


def rollout(attention):
    """Attention (layers, heads, T, T) of one image, to what each last token is made of, (T, T).

    Both are torch tensors.
    """
    mixing = (attention.mean(dim=1) + torch.eye(attention.shape[-1])) / 2
    out = mixing[0]
    for layer in mixing[1:]:
        out = layer @ out
    return out


through_the_layers = Exercise(
    name="05-rollout",
    solution=rollout,
    inputs=lambda: [
        (randn(3, 2, 5, 5).mul(2).softmax(dim=3),),
        (randn(2, 4, 7, 7).softmax(dim=3),),
    ],
    answers=(
        (
            "The skip connection is missing: half of a token is what it was before.",
            lambda attention: torch.linalg.multi_dot([*attention.mean(dim=1).flip(0)]),
        ),
        (
            "The order is reversed: the last layer mixes what the first has mixed.",
            lambda attention: rollout(attention.flip(0)),
        ),
        (
            "The rows sum to more than one: halve attention plus identity.",
            lambda attention: rollout(attention) * 2 ** len(attention),
        ),
        (
            "Layers act one after the other: multiply them, do not average.",
            lambda attention: rollout(attention.mean(dim=0, keepdim=True)),
        ),
        (
            "Only the last layer counts here: what it mixes was mixed before.",
            lambda attention: rollout(attention[-1:]),
        ),
        (
            "Heads are averaged, not summed: else a layer gives out more than it has.",
            lambda attention: rollout(attention * attention.shape[1]),
        ),
    ),
    hints=(
        "Average the heads. What does a block's skip connection mean for who is made of whom?",
        "Each layer's mixing is (mean over heads + identity) / 2. The second layer mixes what the "
        "first has mixed.",
        "out = mixing[0]; then for each later layer: out = layer @ out.",
    ),
)
