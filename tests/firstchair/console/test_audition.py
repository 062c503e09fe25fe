"""The page of the audition between the verdict on test days and the first evaluation on users."""

from firstchair.promotion import LiveRules, newest_plan
from firstchair.promotion.audition import Effect
from firstchair.promotion.stage_planning import plan_stage
from tests.firstchair.console.test_by_hand import Enter, enter
from tests.firstchair.promotion.conftest import AS_OF, HOLDOUT_SHARE, SALT
from tests.firstchair.promotion.test_live import Stand
from tests.firstchair.promotion.test_stage_plan import lived

__all__ = ["enter"]  # fixtures


def test_a_stage_that_nobody_has_looked_at_yet_is_told(enter: Enter, stand: Stand) -> None:
    phase = stand.a.ledger.phases()[-1][1]
    assert phase is not None

    told = " ".join(enter().get("/audition").text.split())

    assert f"{phase.treatment} is shown to 5 % of the users" in told
    assert "No challenger is shown to users" not in told


def test_what_a_stage_can_find_stands_there_until_a_first_look(enter: Enter, stand: Stand) -> None:
    lived(stand.a.lake, AS_OF)
    plan_stage(stand.a.lake, as_of=AS_OF, salt=SALT, holdout_share=HOLDOUT_SHARE, rules=LiveRules())
    plan = newest_plan(stand.a.lake)
    assert plan is not None

    page = enter().get("/audition").text
    stand.live(Effect(0.0), 1)
    stand.decide(1)
    later = enter().get("/audition").text

    assert plan.sentence in page
    assert page.index("as they are") < page.index("<code>stage_max_days = 56</code>")
    assert "<code>listen_margin = 0.05</code><br><code>active_margin = 0.05</code>" in page
    assert "too few users" in page
    assert "What a stage can find" in page
    assert "What a stage can find" not in later
