"""Mistakes that several lessons must notice."""

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "cosine without normalisation",
        ("00", "01", "02", "03", "04", "05", "05b", "06"),
        "embedlab/search/exact.py",
        "return (vectors / np.where(length > 0, length, 1)).astype(np.float32)",
        "return vectors.astype(np.float32)",
    ),
    Mutant(
        "AP divided by the number found in the first fifty",
        ("00", "01", "02", "03", "04", "05", "05b"),
        "embedlab/measure/retrieval.py",
        "n_relevant = relevant.sum(axis=1, keepdims=True)",
        "n_relevant = np.maximum(relevant[:, :50].sum(axis=1, keepdims=True), 1)",
    ),
    Mutant(
        "test images leaked into training",
        ("00", "01", "02", "03", "04", "05", "05b", "06", "06b"),
        "embedlab/data/sets/digits.py",
        "digits[writer < 8],",
        "digits,",
    ),
    Mutant(
        "digits split by a shuffle, not by writer",
        ("00", "01", "02"),
        "embedlab/data/sets/digits.py",
        "digits, writer = all_digits(), writer_of_digit()",
        "digits, writer = all_digits(), np.random.default_rng(0).permutation(writer_of_digit())",
    ),
    Mutant(
        "a comparison forgets that it is paired",
        ("00", "01"),
        "embedlab/measure/intervals.py",
        "effects[source] = mine - effect",
        "effects[source] = mine",
    ),
    Mutant(
        "traditional methods taught with shuffled labels",
        ("00", "01", "02"),
        "embedlab/embedders/linear.py",
        "self.estimator_ = self._estimator().fit(X.reshape(len(X), -1), y)",
        "self.estimator_ = self._estimator().fit("
        "X.reshape(len(X), -1), None if y is None else np.random.default_rng(0).permutation(y))",
    ),
    Mutant(
        "the first component thrown away",
        ("00", "01"),
        "embedlab/embedders/linear.py",
        "return self.estimator_.transform(X.reshape(len(X), -1))",
        "return self.estimator_.transform(X.reshape(len(X), -1))[:, 1:]",
    ),
    Mutant(
        "kernel LDA without its kernel",
        ("01", "02"),
        "embedlab/embedders/linear.py",
        "gamma=self.gamma_, n_components=self.n_landmarks_, random_state=self.seed",
        'kernel="linear", n_components=self.n_landmarks_, random_state=self.seed',
    ),
    Mutant(
        "a kernel a hundred times too narrow",
        ("01", "02"),
        "embedlab/embedders/linear.py",
        "return float(1 / np.median(distances",
        "return float(100 / np.median(distances",
    ),
    Mutant(
        "nine tenths of the epochs",
        ("02", "03", "04", "05", "05b", "06"),
        "embedlab/embedders/shared/network.py",
        "epochs=epochs,",
        "epochs=epochs * 9 // 10,",
    ),
    Mutant(
        "an untrained network passed off as trained",
        ("02", "04", "05", "05b", "06"),
        "embedlab/embedders/shared/network.py",
        "lr=self.lr,",
        "lr=1e-9,",
    ),
    Mutant(
        "a tenth of the learning rate",
        ("02", "03", "05"),
        "embedlab/embedders/shared/network.py",
        "lr=self.lr,",
        "lr=self.lr / 10,",
    ),
    Mutant(
        "attention without its scale",
        ("05", "05b"),
        "embedlab/embedders/shared/transformer.py",
        "weights = (query @ key.transpose(2, 3) / key.shape[3] ** 0.5).softmax(dim=3)",
        "weights = (query @ key.transpose(2, 3)).softmax(dim=3)",
    ),
    Mutant(
        "a network that is not told where patches are",
        ("05", "05b"),
        "embedlab/embedders/shared/transformer.py",
        "return patches + self.pos_embed[:, 1:]",
        "return patches + 0 * self.pos_embed[:, 1:]",
    ),
    Mutant(
        "CLS passed off as the mean",
        ("05", "05b"),
        "embedlab/embedders/shared/patch_embedder.py",
        'return tokens[:, 0] if self.global_pool == "cls" else tokens[:, 1:].mean(dim=1)',
        "return tokens[:, 0]",
    ),
)
