"""Exercises of lesson 06: CLIP's loss, naming by prompts, and recall."""

import torch
import torch.nn.functional as F

from embedlab.lessons.exercises import Exercise, no_gradient, randn, with_gradients


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return F.normalize(vectors, dim=-1)


# --- the loss -----------------------------------------------------------------------------------


def contrast(image, text, scale, caption):
    """CLIP's loss; image, text (N, D) of length one; caption (N,): equal numbers, equal words.

    All are torch tensors, the scale too: it is learned.
    """
    logits = scale * image @ text.T
    target = (caption[:, None] == caption[None, :]).float()
    target = target / target.sum(dim=1, keepdim=True)
    loss = torch.nn.functional.cross_entropy
    return (loss(logits, target) + loss(logits.T, target)) / 2


def _copies(caption):
    return (caption[:, None] == caption[None, :]).float()


def _own(caption):
    return torch.arange(len(caption))


# CLIP's loss with one thing changed.
def _with(right=lambda c: F.normalize(_copies(c), p=1), times=torch.mul, ways=(0.5, 0.5), out=0):
    def answer(image, text, scale, caption):
        logits = times(image @ text.T, scale) - out * _copies(caption).fill_diagonal_(0)
        losses = [F.cross_entropy(x, right(caption)) for x in (logits, logits.T)]
        return ways[0] * losses[0] + ways[1] * losses[1]

    return answer


def _pairs(scale, captions):
    image, text = _unit(randn(2, len(captions), 8)).requires_grad_()
    return image, text, torch.tensor(scale, requires_grad=True), torch.tensor(captions)


loss = Exercise(
    name="06-loss",
    solution=contrast,
    inputs=lambda: [_pairs(5.0, [0, 1, 2, 3, 1, 4]), _pairs(8.0, [2, 2, 0, 1, 2])],
    seen=with_gradients,
    answers=(
        ("One direction only: each text must find its image too.", _with(ways=(1, 0))),
        ("One direction only: each image must find its text too.", _with(ways=(0, 1))),
        ("The scale is missing: cosines make no sharp choice.", _with(times=lambda c, s: c)),
        ("Multiply by the scale: it is one over the temperature.", _with(times=torch.div)),
        ("The scale gets no gradient: it learns nothing.", _with(times=lambda c, s: c * s.data)),
        ("The answer of row i is column i, not column 0.", _with(torch.zeros_like)),
        ("A caption's number is no column: the answer of row i is column i.", _with(torch.clone)),
        ("Equal captions are no wrong answers for each other: they share.", _with(_own)),
        ("Equal captions share: not all for the first.", _with(lambda c: _copies(c).argmax(1))),
        ("Each row of the target must add up to one: share it evenly.", _with(_copies)),
        ("Copies are not to be left out: they share the target.", _with(_own, out=1e9)),
        ("A sum of the two directions: take their mean.", _with(ways=(1, 1))),
        ("Missing: the way from text to image, and shared answers.", _with(_own, ways=(1, 0))),
        ("Multiply by the scale, do not divide; and equal captions share.", _with(_own, torch.div)),
        no_gradient(contrast),
    ),
    hints=(
        "scale * image @ text.T: row i asks for the text of image i, column j for the image of j.",
        "cross_entropy takes targets (N, N): equal captions share, and each row sums to one.",
        "The mean of torch.nn.functional.cross_entropy of logits, target and of logits.T, target.",
    ),
)

# --- naming by prompts --------------------------------------------------------------------------


def name_by_prompt(image, prompts):
    """The class of each image; image (N, D), prompts (classes, templates, D), all of length one.

    All are torch tensors.
    """
    classes = torch.nn.functional.normalize(prompts.mean(dim=1), dim=1)
    return (image @ classes.T).argmax(dim=1)


def _scores(image, prompts):
    return image @ _unit(prompts.mean(dim=1)).T


def _scenes(seed):
    """Images, and prompts that agree in some classes and not in others, where a mean is short."""
    generator = _generator(seed)
    image = _unit(torch.randn(60, 4, generator=generator))
    spread = torch.tensor([0.1, 2.0, 0.1, 2.0, 0.5])[:, None, None]
    centre = _unit(torch.randn(5, 1, 4, generator=generator))
    return image, _unit(centre + spread * torch.randn(5, 3, 4, generator=generator))


prompts = Exercise(
    name="06-prompts",
    solution=name_by_prompt,
    inputs=lambda: [_scenes(1), _scenes(2)],
    answers=(
        (
            "Only the first template speaks: average over dimension 1.",
            lambda image, prompts: name_by_prompt(image, prompts[:, :1]),
        ),
        (
            "A mean of unit vectors is shorter than one where they disagree: bring it back to "
            "length one, or classes with agreeing templates are favoured.",
            lambda image, prompts: (image @ prompts.mean(dim=1).T).argmax(dim=1),
        ),
        ("The worst classes: the best has the greatest cosine.", lambda *a: _scores(*a).argmin(1)),
        (
            "Averaged over the classes: dimension 1 holds the templates.",
            lambda image, prompts: name_by_prompt(image, prompts.transpose(0, 1)),
        ),
        (
            "This takes each class's best template: average them.",
            lambda image, prompts: (image @ prompts.mT).amax(dim=2).argmax(dim=0),
        ),
        ("One image for each class: argmax goes over classes.", lambda *a: _scores(*a).argmax(0)),
        ("These are scores: return the number of the best class of each image.", _scores),
    ),
    hints=(
        "A class is the mean of its prompts' vectors. How long is a mean of unit vectors?",
        "Bring prompts.mean(dim=1) to length one: a vector a class. Then all cosines at once.",
        "(image @ classes.T).argmax(dim=1)",
    ),
)

# --- recall -------------------------------------------------------------------------------------


def recall(cosine, same, k):
    """Share of queries with a match among their k nearest; cosine, same (queries, gallery).

    Both are torch tensors; same is of bool and tells what matches.
    """
    found = cosine.topk(k, dim=1).indices
    return same.gather(1, found).any(dim=1).float().mean()


def _hits(cosine, same, k):
    """Number of matches among the k nearest of each query."""
    return same.gather(1, cosine.topk(k, dim=1).indices).double().sum(dim=1)


def _gallery(seed, size, k):
    """Cosines where a query's partner, at its own number, is a bit nearer than others."""
    cosine = randn(size, size, seed=seed) + 0.5 * torch.eye(size)
    caption = torch.randint(0, size // 3, (size,), generator=_generator(seed))
    return cosine.tanh(), _copies(caption).bool(), k


recall_at_k = Exercise(
    name="06-recall",
    solution=recall,
    inputs=lambda: [_gallery(0, 40, 3), _gallery(1, 20, 1), _gallery(2, 30, 2), _gallery(3, 30, 5)],
    answers=(
        (
            "This is the share of matches among the k: one match is enough for a query.",
            lambda cosine, same, k: _hits(cosine, same, k).sum() / (k * len(cosine)),
        ),
        ("A mean number of matches: a query with two counts once.", lambda *a: _hits(*a).mean()),
        (
            "This is the share of all matches found: one is enough for a query.",
            lambda cosine, same, k: (_hits(cosine, same, k) / same.sum(dim=1)).mean(),
        ),
        ("Queries are the rows: look along dimension 1.", lambda c, s, k: recall(c.T, s.T, k)),
        (
            "Only the query's own partner counts in yours: `same` knows every match.",
            lambda cosine, same, k: recall(cosine, torch.eye(len(cosine)).bool(), k),
        ),
        ("The farthest: the nearest have the greatest cosine.", lambda c, s, k: recall(-c, s, k)),
        ("Only the very nearest is looked at, whatever k is.", lambda c, s, k: recall(c, s, 1)),
        ("One too few: you look at k - 1 of them.", lambda c, s, k: recall(c, s, k - 1)),
        ("One too many: you look at k + 1 of them.", lambda c, s, k: recall(c, s, k + 1)),
        (
            "This is a number of queries: divide it by the number of all.",
            lambda cosine, same, k: recall(cosine, same, k) * len(cosine),
        ),
    ),
    hints=(
        "For each row: which k columns are nearest? Is any of them a match?",
        "cosine.topk(k, dim=1).indices are the columns; same.gather(1, indices) says which match.",
        "same.gather(1, found).any(dim=1).float().mean()",
    ),
)
