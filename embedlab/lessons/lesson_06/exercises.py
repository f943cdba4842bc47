"""Exercises of lesson 06: CLIP's loss, naming by prompts, and recall."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from embedlab.lessons.exercises import Exercise, Wrong
from embedlab.lessons.tensors import checked, same

# --- the loss -----------------------------------------------------------------------------------


def contrast(image, text, scale, caption):
    """CLIP's loss; image, text (N, D) of length one; caption (N,): equal numbers, equal words."""
    return ...


def contrast_solution(image, text, scale, caption):
    """CLIP's loss; image, text (N, D) of length one; caption (N,): equal numbers, equal words."""
    logits = scale * image @ text.T
    target = (caption[:, None] == caption[None, :]).float()
    target = target / target.sum(dim=1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def _one_direction(image, text, scale, caption):
    target = (caption[:, None] == caption[None, :]).float()
    return F.cross_entropy(scale * image @ text.T, target / target.sum(dim=1, keepdim=True))


def _other_direction(image, text, scale, caption):
    return _one_direction(text, image, scale, caption)


def _no_scale(image, text, scale, caption):
    return contrast_solution(image, text, 1.0, caption)


def _divided(image, text, scale, caption):
    return contrast_solution(image, text, 1 / scale, caption)


def _labels_zero(image, text, scale, caption):
    logits, label = scale * image @ text.T, torch.zeros(len(image), dtype=torch.int64)
    return (F.cross_entropy(logits, label) + F.cross_entropy(logits.T, label)) / 2


def _caption_as_label(image, text, scale, caption):
    logits = scale * image @ text.T
    return (F.cross_entropy(logits, caption) + F.cross_entropy(logits.T, caption)) / 2


def _copies_are_wrong(image, text, scale, caption):
    logits, label = scale * image @ text.T, torch.arange(len(image))
    return (F.cross_entropy(logits, label) + F.cross_entropy(logits.T, label)) / 2


def _one_direction_and_copies(image, text, scale, caption):
    return F.cross_entropy(scale * image @ text.T, torch.arange(len(image)))


def _target_not_shared(image, text, scale, caption):
    logits = scale * image @ text.T
    target = (caption[:, None] == caption[None, :]).float()
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def _copies_left_out(image, text, scale, caption):
    copy = (caption[:, None] == caption[None, :]) & ~torch.eye(len(image), dtype=torch.bool)
    logits = (scale * image @ text.T).masked_fill(copy, -torch.inf)
    label = torch.arange(len(image))
    return (F.cross_entropy(logits, label) + F.cross_entropy(logits.T, label)) / 2


def _divided_and_copies(image, text, scale, caption):
    return _copies_are_wrong(image, text, 1 / scale, caption)


def _summed(image, text, scale, caption):
    return 2 * contrast_solution(image, text, scale, caption)


def _test_contrast(answer):
    generator = torch.Generator().manual_seed(0)
    image, text = F.normalize(torch.randn(2, 6, 8, generator=generator), dim=2).unbind()
    scale, caption = torch.tensor(5.0), torch.tensor([0, 1, 2, 3, 1, 4])
    out = checked(answer, torch.zeros(()), image, text, scale, caption)
    if same(out, contrast_solution(image, text, scale, caption)):
        leaf = image.clone().requires_grad_()
        if not answer(leaf, text, scale, caption).requires_grad:
            raise Wrong("No gradient can flow through this loss: stay with torch, detach nothing.")
        return
    for wrong, said in (
        (_one_direction, "One direction only: each text must find its image too."),
        (_other_direction, "One direction only: each image must find its text too."),
        (_no_scale, "The scale is missing: cosines lie within ±1 and make no sharp choice."),
        (_divided, "Divided by the scale: it is one over the temperature already, so multiply."),
        (_labels_zero, "Every row's answer is number 0: the answer of row i is column i."),
        (
            _caption_as_label,
            "The number of a caption is no column: the answer of row i is column i.",
        ),
        (
            _copies_are_wrong,
            "Pairs 1 and 4 have the same caption: neither is a wrong answer for the other.",
        ),
        (_summed, "A sum of the two directions: take their mean."),
        (
            _one_direction_and_copies,
            "Two things are missing: the other direction, from text to image; and that equal words "
            "share the answer.",
        ),
        (
            _target_not_shared,
            "Each row of the target must add up to one: share it evenly among equal captions.",
        ),
        (_copies_left_out, "Copies are not to be left out: they share the target evenly."),
        (
            _divided_and_copies,
            "Multiply by the scale instead of dividing; and equal words must share the answer.",
        ),
    ):
        if same(out, wrong(image, text, scale, caption)):
            raise Wrong(said)
    raise Wrong(
        "Not the mean of the cross-entropies along rows and columns of scale * image @ text.T."
    )


contrast_exercise = Exercise(
    name="06-loss",
    stub=contrast,
    test=_test_contrast,
    hints=(
        "All cosines at once are image @ text.T; times the scale they are logits. Row i asks which "
        "text belongs to image i, and column j which image belongs to text j.",
        "F.cross_entropy takes a matrix of target shares, (N, N). Where captions are equal, "
        "caption[:, None] == caption[None, :], the right answers share the target: divide each "
        "row by its sum.",
        "(F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2",
    ),
    solution=contrast_solution,
    wrong=(
        (_one_direction, "each text must find"),
        (_other_direction, "each image must find"),
        (_no_scale, "The scale is missing"),
        (_divided, "Divided by the scale"),
        (_labels_zero, "Every row's answer is number 0"),
        (_caption_as_label, "is no column"),
        (_copies_are_wrong, "have the same caption"),
        (_summed, "take their mean"),
        (_one_direction_and_copies, "Two things are missing"),
        (_target_not_shared, "add up to one"),
        (_copies_left_out, "not to be left out"),
        (_divided_and_copies, "instead of dividing"),
    ),
)

# --- naming by prompts --------------------------------------------------------------------------


def name_by_prompt(image, prompts):
    """The class of each image; image (N, D), prompts (classes, templates, D), all of length one."""
    return ...


def name_by_prompt_solution(image, prompts):
    """The class of each image; image (N, D), prompts (classes, templates, D), all of length one."""
    classes = F.normalize(prompts.mean(dim=1), dim=1)
    return (image @ classes.T).argmax(dim=1)


def _first_template(image, prompts):
    return (image @ prompts[:, 0].T).argmax(dim=1)


def _not_normalised(image, prompts):
    return (image @ prompts.mean(dim=1).T).argmax(dim=1)


def _furthest(image, prompts):
    return (image @ F.normalize(prompts.mean(dim=1), dim=1).T).argmin(dim=1)


def _image_for_class(image, prompts):
    return (image @ F.normalize(prompts.mean(dim=1), dim=1).T).argmax(dim=0)


def _best_template(image, prompts):
    return torch.einsum("nd,ctd->nct", image, prompts).amax(dim=2).argmax(dim=1)


def _mean_over_classes(image, prompts):
    return (image @ F.normalize(prompts.mean(dim=0), dim=1).T).argmax(dim=1)


def _test_name(answer):
    generator = torch.Generator().manual_seed(1)
    image = F.normalize(torch.randn(60, 4, generator=generator), dim=1)
    # Templates of some classes agree and of others hardly: there a mean is short.
    spread = torch.tensor([0.1, 2.0, 0.1, 2.0, 0.5])[:, None, None]
    centre = F.normalize(torch.randn(5, 1, 4, generator=generator), dim=2)
    prompts = F.normalize(centre + spread * torch.randn(5, 3, 4, generator=generator), dim=2)
    expected = name_by_prompt_solution(image, prompts)
    try:
        out = checked(answer, expected, image, prompts)
    except Wrong as wrong:
        for tried, said in (
            ("(5,)", "One image for each class: argmax goes over the classes, for each image."),
            ("(60, 5)", "These are scores: return the number of the best class of each image."),
        ):
            if f"shape is {tried}" in str(wrong):
                raise Wrong(said) from wrong
        raise
    if torch.equal(out, expected):
        return
    for wrong, said in (
        (_first_template, "Only the first template speaks: average over dimension 1."),
        (
            _not_normalised,
            "The mean of unit vectors is shorter than one where they disagree: bring it back to "
            "length one, or classes with agreeing templates are favoured.",
        ),
        (_furthest, "These are the worst classes: the best has the greatest cosine."),
        (_mean_over_classes, "Averaged over the classes: dimension 1 holds the templates."),
        (_best_template, "This takes each class's best template: average them."),
    ):
        if torch.equal(out, wrong(image, prompts)):
            raise Wrong(said)
    raise Wrong("Not the class whose mean prompt, at length one, has the greatest cosine.")


name_exercise = Exercise(
    name="06-prompts",
    stub=name_by_prompt,
    test=_test_name,
    hints=(
        "A class is the mean of its prompts' vectors. How long is a mean of unit vectors?",
        "F.normalize(prompts.mean(dim=1), dim=1) has one vector a class. Then all cosines at once.",
        "(image @ classes.T).argmax(dim=1)",
    ),
    solution=name_by_prompt_solution,
    wrong=(
        (_first_template, "Only the first template"),
        (_not_normalised, "shorter than one"),
        (_furthest, "worst classes"),
        (_image_for_class, "One image for each class"),
        (_mean_over_classes, "Averaged over the classes"),
        (_best_template, "best template: average"),
    ),
)

# --- recall -------------------------------------------------------------------------------------


def recall(cosine, same, k):
    """Share of queries with a match among their k nearest; cosine, same (queries, gallery)."""
    return ...


def recall_solution(cosine, same, k):
    """Share of queries with a match among their k nearest; cosine, same (queries, gallery)."""
    found = cosine.topk(k, dim=1).indices
    return same.gather(1, found).any(dim=1).float().mean()


def _precision(cosine, same, k):
    return same.gather(1, cosine.topk(k, dim=1).indices).float().mean()


def _other_way(cosine, same, k):
    return recall_solution(cosine.T, same.T, k)


def _only_the_pair(cosine, same, k):
    found = cosine.topk(k, dim=1).indices
    return (found == torch.arange(len(cosine))[:, None]).any(dim=1).float().mean()


def _farthest(cosine, same, k):
    return recall_solution(-cosine, same, k)


def _of_all_matches(cosine, same, k):
    found = same.gather(1, cosine.topk(k, dim=1).indices).sum(dim=1)
    return (found / same.sum(dim=1)).float().mean()


def _counted(cosine, same, k):
    return same.gather(1, cosine.topk(k, dim=1).indices).any(dim=1).sum()


def _always_one(cosine, same, k):
    return recall_solution(cosine, same, 1)


def _test_recall(answer):
    generator = torch.Generator().manual_seed(2)
    cosine = torch.randn(40, 40, generator=generator).tanh()
    caption = torch.randint(0, 12, (40,), generator=generator)
    matches = caption[:, None] == caption[None, :]
    cosine = cosine + 0.5 * torch.eye(40)

    def number(*args):  # a share is a share, tensor or not
        out = answer(*args)
        return torch.tensor(float(out)) if isinstance(out, int | float) else out

    out = checked(number, torch.zeros(()), cosine, matches, 3).float()
    if out > 1:
        raise Wrong("A share lies between 0 and 1: divide by the number of queries.")
    if same(out, recall_solution(cosine, matches, 3)):
        return
    for wrong, said in (
        (_precision, "This is the share of matches among the k: one match is enough for a query."),
        (_of_all_matches, "This is the share of all matches found: one is enough for a query."),
        (_other_way, "Queries are the rows: look along dimension 1."),
        (_only_the_pair, "Only the query's own partner counts in yours: `same` knows every match."),
        (_farthest, "These are the farthest: the nearest have the greatest cosine."),
        (_always_one, "Only the very nearest is looked at: k may be larger than 1."),
    ):
        if same(out, wrong(cosine, matches, 3)):
            raise Wrong(said)
    raise Wrong("Not the share of rows with a match among the k greatest cosines.")


recall_exercise = Exercise(
    name="06-recall",
    stub=recall,
    test=_test_recall,
    hints=(
        "For each row: which k columns are nearest? Is any of them a match?",
        "cosine.topk(k, dim=1).indices are the columns; same.gather(1, indices) says which match.",
        "same.gather(1, found).any(dim=1).float().mean()",
    ),
    solution=recall_solution,
    wrong=(
        (_precision, "share of matches among the k"),
        (_of_all_matches, "share of all matches found"),
        (_other_way, "Queries are the rows"),
        (_only_the_pair, "own partner"),
        (_farthest, "These are the farthest"),
        (_always_one, "Only the very nearest"),
        (_counted, "between 0 and 1"),
    ),
)
