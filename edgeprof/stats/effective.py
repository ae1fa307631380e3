"""How many independent samples a block is worth. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def inflation(blocks: NDArray[np.float64]) -> float:
    """The sum over all lags of the autocorrelation within blocks, at least 1: samples per independent sample.

    The autocovariance is averaged over the blocks and summed in pairs of lags until a pair is no longer positive, each
    no larger than the one before: Geyer's initial monotone positive sequence (Geyer 1992, doi 10.1214/ss/1177011137).

    Args:
        blocks: [rounds, samples], centred on what their mean is known or believed to be (0 afterwards).
    """
    rounds, count = blocks.shape
    power = float(np.mean(blocks * blocks))
    if count < 4 or power == 0:
        return 1.0
    size = 1 << (2 * count - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(blocks, size, axis=1)) ** 2
    covariance = np.fft.irfft(spectrum.sum(axis=0), size)[:count] / (rounds * count)
    pairs = covariance[: count - count % 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs <= 0)
    pairs = np.minimum.accumulate(pairs[: negative[0]] if negative.size else pairs)
    return max(1.0, float(2 * pairs.sum() / covariance[0] - 1))


def effective_samples(block: ArrayLike) -> float:
    """The number of independent samples that would know the block's centre as well, from 1 to its size.

    Of a block of n samples with autocorrelation rho**lag it is about n (1 - rho) / (1 + rho). Rare slow samples would
    hide the dependence of the others, hence it is taken on the ranks.

    Args:
        block: samples in time order, at least one.
    """
    values = np.asarray(block, dtype=np.float64)
    order = np.empty(values.size)
    order[np.argsort(values, kind="stable")] = np.arange(values.size)
    _, first, same, counts = np.unique(values, return_index=True, return_inverse=True, return_counts=True)
    if first.size < values.size:  # ties share their mean rank
        order = (np.bincount(same, weights=order) / counts)[same]
    centred = (order - order.mean())[np.newaxis, :]
    return max(1.0, values.size / inflation(centred))
