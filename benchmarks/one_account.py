"""What one account does to the gate's decisions, with and without the bound of a user's weight.

`python -m benchmarks.one_account [--seeds N]` plays the audition's world of 20,000 users with a
planted effect, first as it is, then with one of the challenger's users who is shown 100,000 artists
a day and clicks none. Each is decided twice: by the gate's rules, and with `user_weight` so large
that every user counts in full. The lines of one world without the account have to agree.
"""

import argparse
from collections import Counter
from dataclasses import replace

from firstchair.promotion.audition import Effect, simulate_panel
from firstchair.promotion.audition.simulation_run import DATES
from firstchair.promotion.experiment import Experiment, ExperimentDecision
from firstchair.promotion.kinds import Verb
from firstchair.promotion.rules import LiveRules

USERS, IMPRESSIONS_A_DAY = 20_000, 100_000
EFFECTS = (0.0, 0.05, 0.10, 0.25, -0.05)
RULES = {"bounded": LiveRules(), "unbounded": replace(LiveRules(), user_weight=1e12)}


def main() -> None:
    """Print a line for each effect, account and rule: decisions, and the most frequent reason."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, default=60)
    arguments.add_argument("--effects", type=float, nargs="*", default=EFFECTS)
    options = arguments.parse_args()
    for clicks in options.effects:
        for account in (0, IMPRESSIONS_A_DAY):
            for name, rules in RULES.items():
                found = [
                    _decided(Effect(clicks, account=account), seed, rules)
                    for seed in range(1, options.seeds + 1)
                ]
                verbs = Counter(str(decision.decision) for decision in found)
                codes = Counter(code for decision in found for code in decision.reason_codes)
                rates = ", ".join(
                    f"{verb} {verbs[verb] / len(found):.3f}"
                    for verb in ("promote", "hold", "reject")
                )
                who = "one account" if account else "no account"
                print(
                    f"clicks {clicks:+.0%}, {who}, {name}: {rates}; {codes.most_common(2)}",
                    flush=True,
                )


def _decided(effect: Effect, seed: int, rules: LiveRules) -> ExperimentDecision:
    """The decision that ends the stage, or the last one."""
    experiment = Experiment(simulate_panel(USERS, effect, seed=seed), DATES, rules)
    for ruling in experiment.rulings():
        if ruling.verb is not Verb.HOLD:
            break
    return experiment.recorded(ruling)


if __name__ == "__main__":
    main()
