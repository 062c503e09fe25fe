"""Services that end are started again after a wait, and the others go on."""

from collections.abc import Callable

import pytest

from firstchair.commands.supervision import Supervisor


class Fake:
    """A process that ends when it is told to."""

    def __init__(self) -> None:
        self.code: int | None = None

    def poll(self) -> int | None:
        return self.code


class Machine:
    """Services by name, each with all its processes; a clock that is set by hand."""

    def __init__(self, *names: str) -> None:
        self.now = 0.0
        self.told: list[str] = []
        self.started: dict[str, list[Fake]] = {name: [] for name in names}
        starts = {name: self._starting(name) for name in names}
        self.supervisor = Supervisor(starts, tell=self.told.append, clock=lambda: self.now)

    def _starting(self, name: str) -> Callable[[], Fake]:
        def start() -> Fake:
            self.started[name].append(Fake())
            return self.started[name][-1]

        return start

    def at(self, seconds: float) -> None:
        self.now = seconds
        self.supervisor.check()

    def ends(self, name: str) -> None:
        self.started[name][-1].code = 1
        self.supervisor.check()

    def seconds_until_it_is_started(self, name: str) -> int:
        """Seconds from its death on."""
        self.ends(name)
        died, before = self.now, len(self.started[name])
        while len(self.started[name]) == before:
            self.at(self.now + 1)
        return round(self.now - died)


@pytest.fixture
def machine() -> Machine:
    made = Machine("API", "Dagster daemon")
    made.at(0)
    return made


def test_one_that_dies_at_each_start_is_started_ever_more_seldom_and_ends_no_other(
    machine: Machine,
) -> None:
    waits = [machine.seconds_until_it_is_started("Dagster daemon") for _ in range(9)]

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert len(machine.started["API"]) == 1
    assert machine.supervisor.is_down("Dagster daemon")
    assert not machine.supervisor.is_down("API")
    assert machine.told[2].startswith(
        "Dagster daemon is down: it has ended with code 1, and is started again in 4 s."
    )


@pytest.mark.parametrize("checked", [True, False], ids=["seen well", "not looked at meanwhile"])
def test_a_death_after_healthy_minutes_counts_as_the_first(machine: Machine, checked: bool) -> None:
    for _ in range(3):
        machine.seconds_until_it_is_started("API")
    if checked:
        machine.at(machine.now + 300)
        assert not machine.supervisor.is_down("API")
        assert machine.told[-1] == "API is well again."
    else:
        machine.now += 300

    assert machine.seconds_until_it_is_started("API") == 1


def test_a_start_that_fails_is_a_death_and_ends_no_other() -> None:
    told: list[str] = []
    now = 0.0
    tries: list[float] = []

    def fails() -> Fake:
        tries.append(now)
        raise OSError(11, "Resource temporarily unavailable")

    supervisor = Supervisor({"API": fails, "MLflow": Fake}, tell=told.append, clock=lambda: now)
    while now < 8:
        supervisor.check()
        now += 1

    assert tries == [0, 1, 3, 7]
    assert supervisor.is_down("API") and not supervisor.is_down("MLflow")
    assert told[0].startswith("API is down: it could not be started ([Errno 11] Resource")
