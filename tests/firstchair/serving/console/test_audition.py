"""The page of the audition between the verdict on test days and the first look at listeners."""

from tests.firstchair.promotion.test_live import Stand
from tests.firstchair.serving.console.test_by_hand import Enter, enter

__all__ = ["enter"]  # fixtures


def test_a_stage_that_nobody_has_looked_at_yet_is_told(enter: Enter, stand: Stand) -> None:
    phase = stand.a.ledger.phases()[-1][1]
    assert phase is not None

    told = " ".join(enter().get("/audition").text.split())

    assert f"{phase.on_trial} is shown to 5 % of the users" in told
    assert "No challenger is shown to users" not in told
