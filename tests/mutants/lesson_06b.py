"""Mistakes that lesson 06b must notice."""

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "a velocity that points to the noise",
        ("06b",),
        "embedlab/lessons/lesson_06b/flow.py",
        "return (velocity - (x - noise)).square().mean()",
        "return (velocity - (noise - x)).square().mean()",
    ),
    Mutant(
        "guidance that is not heeded",
        ("06b",),
        "embedlab/lessons/lesson_06b/flow.py",
        "return free + guidance * (network(x, t, condition) - free)",
        "return network(x, t, condition)",
    ),
    Mutant(
        "a painter that never learns to do without the vector",
        ("06b",),
        "embedlab/lessons/lesson_06b/flow.py",
        ">= drop).to(x.device)",
        ">= 0).to(x.device)",
    ),
    Mutant(
        "a prior that hands the caption through",
        ("06b",),
        "embedlab/lessons/lesson_06b/drawing.py",
        "return normalize(self._make(texts, (self.dim_,), guidance, steps, seed))",
        "return texts",
    ),
    Mutant(
        "an untrained painter passed off as trained",
        ("06b",),
        "embedlab/lessons/lesson_06b/drawing.py",
        "self._train(network, loss, len(made), self.epochs)",
        "self.lr = 1e-9\n        self._train(network, loss, len(made), self.epochs)",
    ),
    Mutant(
        "a judge taught with the writers it is tested on",
        ("06b",),
        "embedlab/lessons/lesson_06b/judges.py",
        "known = compose(images.train, nouns, n, kinds=(kind,), seed=101)",
        "known = compose(images.test, nouns, n, kinds=(kind,), seed=101)",
    ),
    Mutant(
        "pictures drawn for the captions of others",
        ("06b",),
        "embedlab/lessons/lesson_06b/experiments.py",
        "return judge.right(x, label, images.name)",
        "return judge.right(x, np.roll(label, 7), images.name)",
    ),
    Mutant(
        "a prior taught with pairs that do not belong together",
        ("06b",),
        "embedlab/lessons/lesson_06b/experiments.py",
        "prior = Prior(epochs=prior_epochs, seed=seed).fit(text, picture)",
        "prior = Prior(epochs=prior_epochs, seed=seed).fit(text, picture[::-1].copy())",
    ),
)
