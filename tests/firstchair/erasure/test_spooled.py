"""Lines of the spool: a worker's open file is waited for only where it has lines of the users."""

import fcntl
import json
from pathlib import Path

import pytest

from firstchair.erasure import spooled
from firstchair.erasure.identity import Identities, Identity
from firstchair.errors import RunError

LEAVES, STAYS = (Identity.of(user, b"a test's key") for user in ("user-ann", "user-bob"))


def test_a_file_that_a_worker_keeps_open_is_an_error_where_it_has_lines_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooled, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(spooled, "STEP_SECONDS", 0.0)
    path = tmp_path / "api-1.spool"
    lines = [json.dumps({"user_id": one.user_id}) + "\n" for one in (LEAVES, STAYS)]
    path.write_text("".join(lines))

    with path.open("r+b") as worker:
        fcntl.flock(worker, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="still writes"):
            spooled.erase_spooled(tmp_path, Identities([LEAVES]))
        nobody = Identity.of("user-eve", b"a test's key")
        assert not spooled.erase_spooled(tmp_path, Identities([nobody]))

    assert spooled.erase_spooled(tmp_path, Identities([LEAVES])) == {LEAVES: 1}
    assert path.read_text() == lines[1]
