"""Scores of several answers about one face, combined by their odds: s / (1 - s) for a score s."""
import numpy as np

from config import ODDS_POWER, SURE
from detection.types import Floats


def log_odds(scores: Floats) -> Floats:
    """Scores (N,), 0..1 -> the logarithms of their odds (N,), those of scores SURE from 0 and 1 at most."""
    clipped = np.clip(scores, SURE, 1 - SURE)
    return np.log(clipped / (1 - clipped))


def of_log_odds(values: Floats) -> Floats:
    """The inverse: (N,) -> float32 scores (N,)."""
    return (1 / (1 + np.exp(-values))).astype(np.float32)


def multiplied(scores: Floats | float, factors: Floats) -> Floats:
    """Scores, factors (N,) above 0 -> (N,): scores whose odds are multiplied by them; those of 0 and 1 stay."""
    gains = scores * factors
    return (gains / (gains + 1 - scores)).astype(np.float32)


def combined(*answers: Floats) -> Floats:
    """Scores (N,) of several answers -> (N,): the score whose odds are the geometric mean of theirs.

    Unlike the mean of the scores themselves, it tells an answer of 0.999 from one of 0.9.
    """
    return of_log_odds(np.mean([log_odds(each) for each in answers], axis=0))


def with_evidence(scores: Floats, evidence: Floats) -> Floats:
    """Scores (N,), evidence (N,) above 0 -> scores (N,) whose odds are multiplied by it, to the power of ODDS_POWER."""
    return of_log_odds(ODDS_POWER * (log_odds(scores) + np.log(evidence)))
