"""The traditional methods: scikit-learn's own estimators behind a flattening step."""

from dataclasses import dataclass

import numpy as np
from sklearn import decomposition, discriminant_analysis
from sklearn.base import BaseEstimator
from sklearn.kernel_approximation import Nystroem
from sklearn.pipeline import make_pipeline

from embedlab.embedders.base import Embedder


class _Flattened(Embedder):
    """Flatten the images, then do what ``_estimator()`` does."""

    def _estimator(self) -> BaseEstimator:
        """The unfitted scikit-learn estimator, with this object's parameters."""
        raise NotImplementedError

    def _fit(self, X, y):
        self.estimator_ = self._estimator().fit(X.reshape(len(X), -1), y)

    def _transform(self, X):
        return self.estimator_.transform(X.reshape(len(X), -1))


class Pixels(Embedder):
    """The image itself as a vector: the control that every embedding must beat."""

    def _fit(self, X, y):
        pass

    def _transform(self, X):
        return X.reshape(len(X), -1).copy()  # whoever changes the vectors must not change images


@dataclass(eq=False, repr=False)
class PCA(_Flattened):
    """Principal component analysis: the directions along which the images vary most.

    Parameters
    ----------
    n_components : int
        Length of the embedding.
    seed : int
        Of scikit-learn's randomised solver, which it takes for large sets.

    References
    ----------
    Pearson (1901), On lines and planes of closest fit to systems of points in space.
    """

    n_components: int = 32
    seed: int = 0

    def _estimator(self):
        return decomposition.PCA(self.n_components, random_state=self.seed)

    def reconstruct(self, X) -> np.ndarray:
        """Embed images (N, C, H, W) and go back to pixels, float32 of the same shape."""
        vectors = self.transform(X)
        flat = self.estimator_.inverse_transform(vectors)
        return flat.reshape(-1, *self.image_shape_).astype(np.float32)


@dataclass(eq=False, repr=False)
class LDA(_Flattened):
    """Linear discriminant analysis: directions that part the classes and shrink each of them.

    Parameters
    ----------
    n_components : int, optional
        Length of the embedding, at most the number of classes less one, which is the default.
    shrinkage : float, optional
        Share of the pooled covariance replaced by a multiple of the identity; a positive value
        keeps it invertible where pixels are as many as images. None leaves it as it is.

    References
    ----------
    Fisher (1936), The use of multiple measurements in taxonomic problems; Rao (1948).
    """

    supervision = "labels"

    n_components: int | None = None
    shrinkage: float | None = 0.1

    def _estimator(self):
        solver = "svd" if self.shrinkage is None else "eigen"
        return discriminant_analysis.LinearDiscriminantAnalysis(
            solver=solver, shrinkage=self.shrinkage, n_components=self.n_components
        )


@dataclass(eq=False, repr=False)
class KernelPCA(_Flattened):
    """PCA in the feature space of a Gaussian (RBF) kernel.

    Parameters
    ----------
    n_components : int
        Length of the embedding.
    gamma : float, optional
        Width of the kernel ``exp(-gamma * distance**2)``. Default: one over the median squared
        distance between training images, so that it follows the data's own scale.
    seed : int
        Of the iterative eigensolver.

    References
    ----------
    Schölkopf, Smola and Müller (1998), Nonlinear component analysis as a kernel eigenvalue problem.
    """

    n_components: int = 32
    gamma: float | None = None
    seed: int = 0

    def _fit(self, X, y):
        self.gamma_ = median_gamma(X) if self.gamma is None else self.gamma
        super()._fit(X, y)

    def _estimator(self):
        return decomposition.KernelPCA(
            self.n_components, kernel="rbf", gamma=self.gamma_, random_state=self.seed
        )


@dataclass(eq=False, repr=False)
class KernelLDA(_Flattened):
    """LDA on the Nystroem features of a Gaussian (RBF) kernel: the traditional method at its best.

    Parameters
    ----------
    n_components : int, optional
        Length of the embedding, at most the number of classes less one, which is the default.
    gamma : float, optional
        Width of the kernel, as in :class:`KernelPCA`.
    n_landmarks : int
        Training images that the kernel is measured against, at most as many as there are.
    shrinkage : float
        Of the LDA.
    seed : int
        Of the choice of landmarks.

    References
    ----------
    Mika et al. (1999), Fisher discriminant analysis with kernels; Williams and Seeger (2001),
    Using the Nyström method to speed up kernel machines.
    """

    supervision = "labels"

    n_components: int | None = None
    gamma: float | None = None
    n_landmarks: int = 500
    shrinkage: float = 0.01
    seed: int = 0

    def _fit(self, X, y):
        self.gamma_ = median_gamma(X) if self.gamma is None else self.gamma
        self.n_landmarks_ = min(self.n_landmarks, len(X))
        super()._fit(X, y)

    def _estimator(self):
        features = Nystroem(
            gamma=self.gamma_, n_components=self.n_landmarks_, random_state=self.seed
        )
        return make_pipeline(features, LDA(self.n_components, self.shrinkage)._estimator())


def median_gamma(X: np.ndarray, sample: int = 500) -> float:
    """One over the median squared distance between images (N, C, H, W), on `sample` of them."""
    from scipy.spatial.distance import pdist

    flat = X.reshape(len(X), -1)[:: max(1, len(X) // sample)]
    distances = pdist(flat, "sqeuclidean")
    if not distances.any():
        raise ValueError("X: all images are equal, so a kernel has no width.")
    return float(1 / np.median(distances[distances > 0]))
