"""Mistakes that lesson 06 must notice."""

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "pictures with the captions of others",
        ("06",),
        "embedlab/embedders/clip.py",
        "distinct, where = caption[index].unique(return_inverse=True)",
        "distinct, where = caption[index.roll(1)].unique(return_inverse=True)",
    ),
    Mutant(
        "cosines without the scale",
        ("06",),
        "embedlab/embedders/clip.py",
        "logits = scale * image @ text.T",
        "logits = image @ text.T",
    ),
    Mutant(
        "equal captions as wrong answers",
        ("06",),
        "embedlab/embedders/clip.py",
        "same = (caption[:, None] == caption[None, :]).to(logits.dtype)",
        "same = torch.eye(len(logits))",
    ),
    Mutant(
        "a text tower that reads only the first words",
        ("06",),
        "embedlab/embedders/clip.py",
        "x = self.token_embed(tokens) + self.pos_embed",
        "x = self.token_embed(tokens * (torch.arange(tokens.shape[1]) < 4)) + self.pos_embed",
    ),
    Mutant(
        "scenes of test from scans of training",
        ("06",),
        "embedlab/data/scenes.py",
        "split = getattr(images, key)",
        "split = images.train",
    ),
    Mutant(
        "held-out pairs in the training pictures",
        ("06",),
        "embedlab/data/scenes.py",
        "avoid=pairs,",
        "avoid=(),",
    ),
    Mutant(
        "a gap that is not closed",
        ("06",),
        "embedlab/lessons/lesson_06/matching.py",
        "return normalize(vectors - middle)",
        "return normalize(vectors)",
    ),
    Mutant(
        "recall that knows only the partner",
        ("06",),
        "embedlab/lessons/lesson_06/matching.py",
        "captions[p][:, None] == captions[p][None]",
        "np.eye(pool, dtype=bool)",
    ),
    Mutant(
        "puzzles in which the last caption counts as true",
        ("06",),
        "embedlab/lessons/lesson_06/puzzles.py",
        "image=best[:, 0] / best.sum(axis=1)",
        "image=best[:, -1] / best.sum(axis=1)",
    ),
    Mutant(
        "an image named by the farthest prompt",
        ("06",),
        "embedlab/embedders/shared/image_text.py",
        "logits = self.embed_images(x) @ self.class_vectors(prompts).T",
        "logits = -self.embed_images(x) @ self.class_vectors(prompts).T",
    ),
)
