"""How often one of several challengers that are no better passes on test days, by chance.

    python -m benchmarks.contenders [--challengers N] [--seeds N] [--users N]

Each seed has one champion and N challengers that are worth the same: of each user's NDCG@10 and
recall@20, whether anything was found is drawn with the same chance for all models, `ALIKE` of the
users alike for all and the others by each model for itself. The challengers of a seed are judged
as on one day (`judge_challenger`), with the error divided over them and without. Bootstraps have
200 resamples for each challenger instead of 1,000.
"""

import argparse
from collections.abc import Iterator

import numpy as np

from firstchair.promotion import OfflineEvidence, OfflineRules, Verb, judge_challenger
from firstchair.promotion.audition.audition import monte_carlo_error

# Share of the users for whom all models find the same; share for whom they find anything.
ALIKE, FOUND = 0.7, 0.35


def main() -> None:
    """Print the rates with their Monte Carlo errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--challengers", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--users", type=int, default=2_000)
    asked = parser.parse_args()
    for divided in (True, False):
        days = np.array(
            [_passes(seed, asked.users, asked.challengers, divided) for seed in range(asked.seeds)]
        )
        for what, passed in zip(("NDCG@10 proven better", "into canary"), days.T, strict=True):
            rate, error = passed.mean(), monte_carlo_error(passed.mean(), asked.seeds)
            print(
                f"error {'divided' if divided else 'whole'}, {what}: {passed.sum()} of "
                f"{asked.seeds} days, {rate:.1%} (Monte Carlo error {error:.1%})",
                flush=True,
            )


def _passes(seed: int, users: int, challengers: int, divided: bool) -> tuple[bool, bool]:
    """Whether any challenger of the day has a better NDCG@10, and whether any passes in all."""
    rules = OfflineRules(bootstrap_samples=200, seed=seed)
    champion, *others = _models(np.random.default_rng(seed), users, challengers + 1)
    compared = challengers if divided else 1
    verdicts = [
        judge_challenger(_evidence(champion, other), rules, compared=compared) for other in others
    ]
    better = any(verdict.metrics[0]["lower"] > 0 for verdict in verdicts)
    return better, any(verdict.decision is Verb.PROMOTE for verdict in verdicts)


def _models(rng: np.random.Generator, users: int, models: int) -> Iterator[np.ndarray]:
    """NDCG@10 and recall@20 of each model: float64 (2, users), the same in expectation."""
    common, alike = _found(rng, users), rng.random(users) < ALIKE
    for _ in range(models):
        yield np.where(alike, common, _found(rng, users))


def _found(rng: np.random.Generator, users: int) -> np.ndarray:
    quality = rng.beta(1.2, 4, users)
    found = rng.random(users) < FOUND
    return np.stack([found * quality, found * np.sqrt(quality)])


def _evidence(champion: np.ndarray, challenger: np.ndarray) -> OfflineEvidence:
    return OfflineEvidence(
        "champion", "challenger", "", "", champion[0], challenger[0], champion[1], challenger[1]
    )


if __name__ == "__main__":
    main()
