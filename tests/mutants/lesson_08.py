"""Mistakes that lesson 08 must notice."""

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "a network whose weights were not loaded",
        ("08",),
        "embedlab/embedders/backbones.py",
        "network.load_state_dict(efficientnet_lite0())",
        "torch.manual_seed(0)",
    ),
    Mutant(
        "a network left in training mode",
        ("08",),
        "embedlab/embedders/backbones.py",
        "return _of_timm(network.eval())",
        "return _of_timm(network.train())",
    ),
    Mutant(
        "pictures that are not normalised",
        ("08",),
        "embedlab/lessons/lesson_08/layers.py",
        "return (x - mean) / std",
        "return x",
    ),
    Mutant(
        "what goes into a layer passed off as what it gives",
        ("08",),
        "embedlab/lessons/lesson_08/layers.py",
        "seen.__setitem__(name, output.mean(dim=(2, 3)))",
        "seen.__setitem__(name, inputs[0].mean(dim=(2, 3)))",
    ),
    Mutant(
        "the largest place passed off as the mean of all",
        ("08",),
        "embedlab/lessons/lesson_08/layers.py",
        "seen.__setitem__(name, output.mean(dim=(2, 3)))",
        "seen.__setitem__(name, output.amax(dim=(2, 3)))",
    ),
    Mutant(
        "an untrained control that is trained",
        ("08",),
        "embedlab/lessons/lesson_08/experiments.py",
        'out.network_ = timm.create_model("tf_efficientnet_lite0").eval()',
        "pass",
    ),
    Mutant(
        "who knows the class knows the colour",
        ("08",),
        "embedlab/lessons/lesson_08/layers.py",
        "return {key: v - mean[np.searchsorted(classes, y[key])] for key, v in values.items()}",
        "return values",
    ),
    Mutant(
        "layers of unequal length",
        ("08",),
        "embedlab/lessons/lesson_08/experiments.py",
        "short = {key: cut.transform(v) for key, v in vectors.items()}",
        "short = vectors",
    ),
    Mutant(
        "marks in the same colours as before",
        ("08",),
        "embedlab/lessons/lesson_08/marks.py",
        "return marks[:, [2, 0, 1]].copy()",
        "return marks.copy()",
    ),
    Mutant(
        "int8 with one scale for a column",
        ("08",),
        "embedlab/lessons/lesson_08/exercises.py",
        "scale = 127 / vectors.abs().amax(dim=1, keepdim=True)",
        "scale = 127 / vectors.abs().amax(dim=0, keepdim=True)",
    ),
)
