"""Three non-negative coefficients from few, noisy, forgetful observations.

Fits `y = c0 + c1 * x1 + c2 * x2` by weighted least squares with exponential forgetting. A weak pull towards
a prior decides what the observations leave open (a model seen at one size only). Pure arithmetic.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

Row = list[float]
SIZE = 3


@dataclass(slots=True)
class ForgetfulFit:
    """`memory` is the number of observations after which an old one counts 1/e."""

    prior: tuple[float, float, float]
    memory: float = 32.0
    prior_weight: float = 1e-3
    _matrix: list[Row] = field(default_factory=lambda: [[0.0] * SIZE for _ in range(SIZE)])
    _vector: Row = field(default_factory=lambda: [0.0] * SIZE)

    def add(self, features: Sequence[float], value: float, expected: float) -> None:
        """An error counts in relation to the value that was expected, so that small images matter as much as
        large ones. (In relation to the value itself, a model that slows down would be believed too late: the
        fast past would weigh more than the slow present.)"""
        weight = 1.0 / max(min(max(expected, value / 10), value * 10), 1e-3) ** 2
        keep = 1.0 - 1.0 / self.memory
        for i in range(SIZE):
            self._vector[i] = keep * self._vector[i] + weight * features[i] * value
            for j in range(SIZE):
                self._matrix[i][j] = keep * self._matrix[i][j] + weight * features[i] * features[j]

    def solve(self) -> tuple[float, float, float]:
        """The best coefficients of which none is negative: the best of the fits over every subset that has no
        negative one (non-negative least squares in three unknowns has at most eight)."""
        matrix, vector = self._with_prior()
        best, best_loss = (0.0, 0.0, 0.0), 0.0
        for size in range(1, SIZE + 1):
            for subset in combinations(range(SIZE), size):
                solved = _solve([[matrix[i][j] for j in subset] for i in subset], [vector[i] for i in subset])
                if solved is None or min(solved) < 0:
                    continue
                full = [0.0] * SIZE
                for index, value in zip(subset, solved, strict=True):
                    full[index] = value
                loss = _loss(matrix, vector, full)
                if loss < best_loss:
                    best, best_loss = (full[0], full[1], full[2]), loss
        return best

    def _with_prior(self) -> tuple[list[Row], Row]:
        """Each unknown is pulled towards its prior with a weight in proportion to how much is known of it, so
        that units do not matter."""
        matrix = [row[:] for row in self._matrix]
        vector = self._vector[:]
        for i in range(SIZE):
            pull = self.prior_weight * max(matrix[i][i], 1e-12)
            matrix[i][i] += pull
            vector[i] += pull * self.prior[i]
        return matrix, vector


def _loss(matrix: list[Row], vector: Row, x: Row) -> float:
    """The squared error, less a constant."""
    quadratic = sum(matrix[i][j] * x[i] * x[j] for i in range(SIZE) for j in range(SIZE))
    return quadratic - 2 * sum(vector[i] * x[i] for i in range(SIZE))


def _solve(matrix: list[Row], vector: Row) -> Row | None:
    """Gaussian elimination with pivoting; None for a singular matrix."""
    size = len(vector)
    rows = [[*matrix[i], vector[i]] for i in range(size)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(rows[row][column]))
        if abs(rows[pivot][column]) < 1e-300:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        for row in range(column + 1, size):
            factor = rows[row][column] / rows[column][column]
            for k in range(column, size + 1):
                rows[row][k] -= factor * rows[column][k]
    solution = [0.0] * size
    for row in reversed(range(size)):
        known = sum(rows[row][k] * solution[k] for k in range(row + 1, size))
        solution[row] = (rows[row][size] - known) / rows[row][row]
    return solution
