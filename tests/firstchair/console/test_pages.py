"""Every page in a real browser: figures equal their tables, and nothing external is loaded."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, StorageState, expect

from firstchair.definitions.slates import SLATE_DAYS
from firstchair.lake import tables as t
from firstchair.promotion import model_title
from tests.firstchair.console.conftest import Visit, visiting
from tests.service import Lived

PAGES = (
    "/",
    "/audition",
    "/engagement",
    "/drift",
    "/decisions",
    "/quality",
    "/listener",
    "/lineage",
)
LISTENER = "user-000001"


def percent(value: float, digits: int = 2) -> str:
    return f"{100 * value:.{digits}f} %"


@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_without_an_error_asks_nobody_else_and_says_that_its_data_are_simulated(
    visit: Visit, path: str
) -> None:
    page = visit.open(path)

    page.wait_for_load_state("networkidle")

    expect(
        page.get_by_role("navigation", name="Pages").locator('[aria-current="page"]')
    ).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.get_by_role("note")).to_contain_text("Simulated data")
    assert (visit.errors, visit.strayed) == ([], [])


UNREACHABLE = """
[...document.querySelectorAll("body *")].filter((element) => {
  const style = getComputedStyle(element);
  const scrolls = [style.overflowX, style.overflowY].some((value) => /auto|scroll/.test(value));
  const hidden = element.scrollWidth > element.clientWidth + 1
      || element.scrollHeight > element.clientHeight + 1;
  return scrolls && hidden && !element.matches("[tabindex='0'], textarea, iframe");
}).map((element) => element.outerHTML.slice(0, 120))
"""
VERDICTS_OUT_OF_SIGHT = """
[...document.querySelectorAll("table")].flatMap((table) => {
  const heads = [...(table.tHead?.rows[0]?.cells ?? [])];
  const place = heads.findIndex((head) => head.textContent.trim() === "verdict");
  return place < 0 ? [] : [...table.tBodies[0].rows].map((row) => row.cells[place]);
}).filter((cell) => cell.getBoundingClientRect().right > innerWidth).map((cell) => cell.innerText)
"""


@pytest.mark.parametrize("path", PAGES)
def test_a_phone_shows_the_page_its_verdicts_and_every_area_that_scrolls(
    browser: Browser, served: str, session: StorageState, path: str
) -> None:
    phone = visiting(browser, served, viewport={"width": 360, "height": 780}, storage_state=session)

    page = phone.open(path)
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate(UNREACHABLE) == []
    assert page.evaluate(VERDICTS_OUT_OF_SIGHT) == []
    page.context.close()


def test_alerts_come_first_on_a_phone(browser: Browser, served: str, session: StorageState) -> None:
    phone = visiting(browser, served, viewport={"width": 360, "height": 780}, storage_state=session)

    page = phone.open("/")

    alerts, champion = (page.locator(f"#{name}").bounding_box() for name in ("alerts", "champion"))
    assert alerts is not None
    assert champion is not None
    assert alerts["y"] < champion["y"]
    page.context.close()


def test_a_table_is_sorted_by_its_headings_either_way(visit: Visit) -> None:
    page = visit.open("/quality")
    table = page.get_by_role("region", name="Quarantine by reason")
    heading = table.get_by_role("columnheader", name="records")
    counts = table.locator("tbody td:nth-child(2)")

    heading.get_by_role("button").press("Enter")
    up = [int(text.replace(",", "")) for text in counts.all_inner_texts()]
    heading.get_by_role("button").click()
    down = [int(text.replace(",", "")) for text in counts.all_inner_texts()]

    assert len(set(up)) > 1
    assert (up, down) == (sorted(up), sorted(up, reverse=True))
    expect(heading).to_have_attribute("aria-sort", "descending")


def test_every_country_and_its_interval_is_drawn(visit: Visit, lived: Lived) -> None:
    cells = lived.service.rows(t.ENGAGEMENT_DAILY, "segment = 'country' and model_version = 'all'")
    newest = max(row["event_date"] for row in cells)
    countries = {
        row["segment_value"]
        for row in cells
        if row["users"] >= 20 and row["event_date"] > newest - timedelta(days=90)
    }

    page = visit.open("/engagement?segment=country&days=90")

    picture = page.locator("figure", has_text="Click-through rate").first
    assert picture.locator("polygon.band, line.bar").count() == len(countries) > 0


def test_now_tells_the_champion_and_the_figures_of_the_newest_complete_day(
    visit: Visit, lived: Lived
) -> None:
    cells = lived.service.rows(t.ENGAGEMENT_DAILY, "segment = 'all' and model_version = 'all'")
    newest = sorted(cells, key=lambda row: row["event_date"])[-1 - SLATE_DAYS]

    page = visit.open("/")

    champion = lived.status["roles"]["champion"]
    name = model_title(champion["version"], champion["family"])
    expect(page.get_by_text(name).first).to_be_visible()
    expect(page.locator(".verdict").first).to_contain_text(lived.status["roles"]["why"])
    assert visit.figure("Click-through rate") == percent(newest["ctr"])
    assert visit.figure("Listeners shown") == f"{newest['users']:,}"
    for alert in lived.status["alerts"]:
        for part in ("text", "cause", "remedy"):
            expect(page.get_by_text(alert[part])).to_be_visible()


def test_audition_tells_the_verdict_on_test_days_with_its_interval(
    visit: Visit, lived: Lived
) -> None:
    entry = next(entry for entry in lived.ledger if entry["evidence"]["kind"] == "challenge")

    page = visit.open("/audition")

    page.locator("figure", has_text="On test days").get_by_text("Figures", exact=True).click()
    for metric in entry["evidence"]["metrics"]:
        for bound in ("lower", "upper"):
            told = f"{100 * metric[bound]:+.1f} %".replace("-", "−")
            expect(page.get_by_role("cell", name=told).first).to_be_visible()


def test_engagement_cells_are_those_of_the_table_and_none_is_too_small(
    visit: Visit, lived: Lived
) -> None:
    cells = lived.service.rows(t.ENGAGEMENT_DAILY, "segment = 'country' and model_version = 'all'")
    newest = max(row["event_date"] for row in cells) - timedelta(days=SLATE_DAYS)
    wanted = {
        r["segment_value"]: r for r in cells if r["event_date"] == newest and r["users"] >= 20
    }

    page = visit.open("/engagement?segment=country&days=14")

    shown = page.locator("tr[data-cell]")
    assert shown.count() == len(wanted) > 0
    for value, row in wanted.items():
        told = page.locator(f'tr[data-cell="{value}"] td').all_inner_texts()
        assert told[:4] == [
            f"{row['users']:,}",
            f"{row['impressions']:,}",
            f"{row['clicks']:,}",
            percent(row["ctr"]),
        ]


def test_the_page_tells_what_the_lists_of_each_version_hold(visit: Visit, lived: Lived) -> None:
    newest = lived.service.lake.partitions(t.LIST_EXPOSURE)[-1]
    wanted = lived.service.rows(t.LIST_EXPOSURE, f"as_of = date '{newest}'")

    page = visit.open("/engagement")

    assert page.locator("tr[data-lists]").count() == len(wanted) > 1
    for row in wanted:
        cells = page.locator(f'tr[data-lists="{row["model_version"]}"] td').all_inner_texts()
        assert cells[1] == percent(row["coverage"], 1)
        assert cells[-1] == percent(row["share_over_tenfold"], 1)


def test_churn_labels_that_can_still_change_are_told_apart(visit: Visit, lived: Lived) -> None:
    labels = lived.service.rows(
        t.CHURN, "segment = 'all' and model_version = 'all' and horizon_days = 7"
    )
    final = max((row for row in labels if row["mature"]), key=lambda row: row["as_of"])

    page = visit.open("/engagement?segment=all&days=90")

    expect(
        page.get_by_role("cell", name=percent(final["churn_rate"], 1), exact=True).first
    ).to_be_visible()
    assert page.locator("circle.dot.open").count() >= sum(not row["mature"] for row in labels)


def test_drift_names_the_columns_that_drifted_and_holds_evidentlys_page(
    visit: Visit, lived: Lived
) -> None:
    page = visit.open("/drift")

    told = (
        page.locator("tr", has=page.get_by_text("drifted", exact=True))
        .locator("th")
        .all_inner_texts()
    )
    assert sorted(name.replace(" ", "_") for name in told) == sorted(
        lived.summary["drift"]["drifted"]
    )
    page.locator("iframe").scroll_into_view_if_needed()
    expect(page.frame_locator("iframe").get_by_text("drift", exact=False).first).to_be_visible(
        timeout=60_000
    )
    assert (visit.errors, visit.strayed) == ([], [])


def test_decisions_are_filtered_and_say_who_was_champion_when(visit: Visit, lived: Lived) -> None:
    promoted = [entry for entry in lived.ledger if entry["decision"] == "promote"]
    decided_at = datetime.fromisoformat(promoted[0]["decided_at"])

    visit.open("/decisions")
    visit.page.get_by_label("Decision").select_option("promote")
    visit.page.get_by_role("button", name="Filter").click()

    expect(visit.page.get_by_label("Entries").locator("tbody tr")).to_have_count(len(promoted))
    for moment, told in (
        (timedelta(hours=1), f"{promoted[0]['champion_after']}"),
        (-timedelta(days=900), "Nobody"),
    ):
        visit.page.get_by_label("At, in UTC").fill(f"{decided_at + moment:%Y-%m-%dT%H:%M}")
        visit.page.get_by_role("button", name="Look").click()
        expect(visit.page.get_by_role("status")).to_contain_text(told)


def test_an_entry_is_told_in_full(visit: Visit, lived: Lived) -> None:
    entry = lived.ledger[0]

    page = visit.open(f"/decisions/{entry['decision_id']}")

    page.get_by_text("Figures and reason codes").click()

    for text in (
        entry["hash"],
        entry["previous_hash"],
        entry["data_fingerprint"],
        entry["reasons"][0],
    ):
        expect(page.get_by_text(text, exact=True).first).to_be_visible()


def test_data_quality_accounts_for_every_record_and_shows_no_account(
    visit: Visit, lived: Lived
) -> None:
    fates = lived.summary["events"]

    page = visit.open("/quality")

    assert visit.figure("Read") == f"{fates['read']:,}"
    assert visit.figure("Accepted") == f"{fates['accepted']:,}"
    for reason, count in fates["quarantined"].items():
        assert page.locator(f'tr[data-reason="{reason}"] td').first.inner_text() == f"{count:,}"
    assert re.search(r"user-\d|@example", page.content()) is None


def test_a_listener_is_found_by_a_form_and_his_id_stands_in_no_address(
    visit: Visit, lived: Lived
) -> None:
    listed = lived.service.ask("recommend", LISTENER, "-k", 5)

    page = visit.open("/listener")
    page.get_by_label("User id").fill(LISTENER)
    page.get_by_role("button", name="Look up").click()

    ranked = max(item["propensity"] for item in listed["items"])
    for item in (item for item in listed["items"] if item["propensity"] == ranked):
        row = page.get_by_role("region", name="List").locator("tbody tr").nth(item["position"] - 1)
        expect(row).to_contain_text(item["artist_id"])
        expect(row).to_contain_text(item["reason"])
    assert not any(LISTENER in address for address in [page.url, *visit.asked])
    assert LISTENER not in page.content()
    assert LISTENER not in (Path(lived.service.home) / "served.log").read_text()


def test_an_unknown_listener_gets_what_is_trending(visit: Visit) -> None:
    page = visit.open("/listener")

    page.get_by_label("User id").fill("nobody-at-all")
    page.keyboard.press("Enter")

    expect(page.get_by_text("cold start: what is trending")).to_be_visible()
    expect(page.get_by_role("region", name="List").locator("tbody tr").first).to_be_visible()


def test_lineage_leads_from_the_served_lists_to_data_and_decision(
    visit: Visit, lived: Lived
) -> None:
    champion = lived.status["roles"]["champion"]

    page = visit.open("/lineage")

    row = (
        page.get_by_role("region", name="Who made them")
        .get_by_role("row")
        .filter(has_text="champion")
        .first
    )
    expect(row).to_contain_text(champion["data_fingerprint"])
    row.get_by_role("link", name="entry").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Entry")


def test_the_first_tab_leads_past_the_navigation(visit: Visit) -> None:
    page = visit.open("/")

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    assert page.url.endswith("#content")


def test_a_browser_without_a_session_is_shown_the_form_and_comes_back(
    browser: Browser, served: str
) -> None:
    visitor = visiting(browser, served)

    visitor.page.goto(f"{served}/decisions?decision=promote")
    visitor.page.get_by_label("API token").fill("not the token")
    visitor.page.get_by_role("button", name="Sign in").click()
    expect(visitor.page.get_by_role("alert")).to_contain_text("not the token")
    visitor.page.get_by_label("API token").fill("a reviewer's token")
    visitor.page.get_by_role("button", name="Sign in").click()

    visitor.page.wait_for_url(f"{served}/decisions?decision=promote")
    cookie = visitor.page.context.cookies()[0]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.page.wait_for_url(f"{served}/sign-in")
    assert visitor.page.context.cookies() == []
    visitor.page.context.close()
