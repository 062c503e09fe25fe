"""Every Delta table of the lake: its name, its columns, and the partition that a build replaces."""

from dataclasses import dataclass

import pyarrow as pa

from firstchair.definitions import churn, source_tables
from firstchair.definitions.follower_tiers import KNOWN_TIERS
from firstchair.definitions.metrics import BEFORE, GUARDRAILS
from firstchair.definitions.segments import USER_SEGMENTS
from firstchair.definitions.source_tables import ColumnType

UTC_INSTANT = pa.timestamp("us", tz="UTC")
# Columns of source tables in the lake.
TYPES = {
    ColumnType.TEXT: pa.string(),
    ColumnType.TEXTS: pa.list_(pa.string()),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.BIGINT: pa.int64(),
    ColumnType.DOUBLE: pa.float64(),
    ColumnType.DATE: pa.date32(),
    ColumnType.INSTANT: UTC_INSTANT,
}


# Columns of texts that senders write. Delta's log keeps no least and greatest value of these.
FREE_TEXTS = frozenset({"extra", "detail", "raw"})


@dataclass(frozen=True, slots=True)
class Table:
    """One Delta table: path under `lake_url`, Arrow schema, column that builds partition by."""

    name: str
    schema: pa.Schema
    partition_by: str | None = None

    @property
    def properties(self) -> dict[str, str]:
        """What Delta is to do with the table.

        Delta would remove log entries after 30 days, also those of versions that the ledger names;
        `firstchair.lake.upkeep` removes the others.
        """
        found = {"delta.enableExpiredLogCleanup": "false"}
        if not FREE_TEXTS.isdisjoint(self.schema.names):
            left_out = {*FREE_TEXTS, self.partition_by}
            described = (name for name in self.schema.names if name not in left_out)
            found["delta.dataSkippingStatsColumns"] = ",".join(described)
        return found


_defined: list[Table] = []


def _table(name: str, partition_by: str | None = None, /, **columns: pa.DataType) -> Table:
    """Define a table, which is then one of `ALL_TABLES`."""
    _defined.append(Table(name, pa.schema(list(columns.items())), partition_by))
    return _defined[-1]


def _source(table: source_tables.SourceTable) -> Table:
    """The table of a source table's valid rows."""
    return _table(
        f"silver/{table.name}", **{name: TYPES[kind] for name, kind in table.columns.items()}
    )


_EVENT_COLUMNS: dict[str, pa.DataType] = {
    "event_id": pa.string(),
    "event_type": pa.string(),
    "occurred_at": UTC_INSTANT,
    "event_date": pa.date32(),
    "user_key": pa.string(),
    "source": pa.string(),
    "source_seq": pa.int64(),
    "simulated": pa.bool_(),
    "slate_id": pa.string(),
    "position": pa.int32(),
    "artist_id": pa.string(),
    "track_id": pa.string(),
    "model_version": pa.string(),
    "propensity": pa.float64(),
    "surface": pa.string(),
    "ms_played": pa.int64(),
    "extra": pa.string(),  # JSON object of further fields, with values of allowed ones; or null
}

# One object of the event store and what became of its records; `started` rows of a dead batch are
# undone.
OBJECTS = _table(
    "bronze/objects",
    batch_id=pa.string(),
    object_url=pa.string(),
    status=pa.string(),
    records=pa.int64(),
    accepted=pa.int64(),
    duplicates=pa.int64(),
    conflicting_duplicates=pa.int64(),
    quarantined=pa.int64(),
    ingested_at=UTC_INSTANT,
)
# What the store said of an object when it was read, and of one that was written again since: its
# records are not read a second time. `store_version` changes when it does.
OBJECT_VERSIONS = _table(
    "bronze/object_versions",
    batch_id=pa.string(),
    object_url=pa.string(),
    store_version=pa.string(),
    was_read=pa.bool_(),
)
# Bytes of an object as it is stored, and the part of them that is of records refused when they
# were read.
OBJECT_SIZES = _table(
    "bronze/object_sizes",
    batch_id=pa.string(),
    object_url=pa.string(),
    bytes=pa.int64(),
    bytes_refused=pa.int64(),
)
# Objects under the URL that are not read because of how their names end, as of the last reading.
SKIPPED_OBJECTS = _table(
    "bronze/skipped_objects",
    ending=pa.string(),
    objects=pa.int64(),
    bytes=pa.int64(),
    first=pa.string(),
)
# One well-formed event, first of its event_id, not yet checked against accounts and catalogue.
BRONZE_EVENTS = _table(
    "bronze/events",
    "event_date",
    **_EVENT_COLUMNS,
    object_url=pa.string(),
    line=pa.int64(),
    batch_id=pa.string(),
    ingested_at=UTC_INSTANT,
)
# One accepted event: well formed, and its user, artist and track are known.
EVENTS = _table("silver/events", "event_date", **_EVENT_COLUMNS)
# One refused record with its reason and the place where it was read; of `raw` only the contract's
# fields can be read.
QUARANTINE_EVENTS = _table(
    "quarantine/events",
    object_url=pa.string(),
    line=pa.int64(),
    reason=pa.string(),
    detail=pa.string(),
    raw=pa.string(),
    quarantined_at=UTC_INSTANT,
    event_id=pa.string(),
    source=pa.string(),
    source_seq=pa.int64(),
    event_date=pa.date32(),  # null where the record was refused before its day was checked
    batch_id=pa.string(),  # null where the record was refused by its day's validation
)
# One refused account with its reason.
QUARANTINE_USERS = _table(
    "quarantine/users",
    user_key=pa.string(),
    reason=pa.string(),
    detail=pa.string(),
    quarantined_at=UTC_INSTANT,
)
# A row of a source table beside the catalogue that its suite refuses.
QUARANTINE_ROWS = _table(
    "quarantine/source_rows",
    source_table=pa.string(),
    key=pa.string(),
    reason=pa.string(),
    detail=pa.string(),
    quarantined_at=UTC_INSTANT,
)
# One user without PII: age group, city and state in place of birth date and coordinates.
USERS = _table(
    "silver/users",
    user_key=pa.string(),
    age_group=pa.string(),
    gender=pa.string(),
    country=pa.string(),
    state=pa.string(),
    city=pa.string(),
    created_at=UTC_INSTANT,
)
# One user whose account the source no longer has, as it was last: what they did still counts, and
# they get no lists. left_on: the day on which they were found missing.
FORMER_USERS = _table(
    "silver/former_users",
    **{field.name: field.type for field in USERS.schema},
    left_on=pa.date32(),
)
# Buckets of users under a salt of the arms that are not the hash of their pseudonym: they were
# assigned under an earlier pseudonym key, and stay in their arm.
KEPT_BUCKETS = _table(
    "silver/kept_buckets",
    user_key=pa.string(),
    salt=pa.string(),
    bucket=pa.int32(),
)
# One artist of the catalogue as it was last read; merged artists are left out.
ARTISTS = _source(source_tables.ARTISTS)
# Artists that the catalogue says were merged into another. redirect_to: the end of the chain, an
# artist of silver/artists; null where the redirect is not followed, `fault` says why.
ARTIST_REDIRECTS = _table(
    "silver/artist_redirects",
    artist_id=pa.string(),
    stated=pa.string(),  # what the catalogue has
    redirect_to=pa.string(),
    fault=pa.string(),  # circle, unknown_artist; null where it is followed
)
# One track of the catalogue as it was last read.
TRACKS = _source(source_tables.TRACKS)
# What the catalogue had once and has no more: events that name it are accepted, nothing lists it.
FORMER_ARTISTS = _table("silver/former_artists", artist_id=pa.string())
FORMER_TRACKS = _table("silver/former_tracks", track_id=pa.string())
SOURCES = {one.name: _source(one) for one in source_tables.OTHER_TABLES}
RECENT_TRACK = pa.struct(
    [
        ("track_id", pa.string()),
        ("artist_id", pa.string()),
        ("played_at", UTC_INSTANT),
        ("ms_played", pa.int64()),
        ("listen_ratio", pa.float64()),
    ]
)
FOLLOWED_ARTIST = pa.struct(
    [
        ("artist_id", pa.string()),
        ("name", pa.string()),
        ("top_tracks", pa.list_(pa.string())),
        ("days_active", pa.int64()),
        ("trending_rank", pa.int64()),
        ("followers", pa.int64()),
    ]
)
# One user on an as_of: everything known from events before that day, 00:00 UTC.
USER_FEATURES = _table(
    "gold/user_features",
    "as_of",
    user_key=pa.string(),
    as_of=pa.date32(),
    recent_tracks=pa.list_(RECENT_TRACK),
    followed_artists=pa.list_(FOLLOWED_ARTIST),
    impressions=pa.int64(),
    clicks=pa.int64(),
    clicks_per_100=pa.float64(),  # null where nothing was shown
    clicks_per_200=pa.float64(),
    self_normalised=pa.map_(pa.string(), pa.float64()),
    listen_through=pa.float64(),  # null where nothing was played
    logins_28d=pa.int64(),
    days_since_last_login=pa.int64(),
    tenure_days=pa.int64(),
    lifecycle=pa.string(),
    age_group=pa.string(),
    gender=pa.string(),
    country=pa.string(),
    state=pa.string(),
    city=pa.string(),
    created_at=UTC_INSTANT,
)
# The user-item matrix in long form: one row a user and artist with a signal before as_of.
INTERACTIONS = _table(
    "gold/interactions",
    "as_of",
    user_key=pa.string(),
    artist_id=pa.string(),
    as_of=pa.date32(),
    confidence=pa.float64(),  # >= 1 where preference is 1; > 0 where it is 0 (shown, never taken)
    preference=pa.int8(),
    plays=pa.int64(),
    clicks=pa.int64(),
    impressions=pa.int64(),
    follows=pa.bool_(),
    last_signal_on=pa.date32(),  # null where there was no positive signal
)
# One artist of one user's list by one model version.
RECOMMENDATIONS = _table(
    "gold/recommendations",
    "as_of",
    user_key=pa.string(),
    as_of=pa.date32(),
    model_version=pa.string(),
    position=pa.int32(),
    artist_id=pa.string(),
    score=pa.float64(),
    reason=pa.string(),
)
# What the lists of one model version for a day hold, over all users.
LIST_EXPOSURE = _table(
    "gold/list_exposure",
    "as_of",
    as_of=pa.date32(),
    model_version=pa.string(),
    family=pa.string(),
    places=pa.int64(),  # artists in all lists together
    coverage=pa.float64(),  # share of the catalogue in at least one list, 0..1
    novelty_bits=pa.float64(),  # mean of -log2 of the share of users who knew the artist
    gini=pa.float64(),  # of the places of each artist: 0 equally many, 1 all with one
    # Shares of the places by follower tier, of artists whose followers are known; else null.
    **{f"share_{name}": pa.float64() for name in KNOWN_TIERS},
)
# What users of a segment did with the slates of one model version on a day.
ENGAGEMENT_DAILY = _table(
    "gold/engagement_daily",
    "event_date",
    event_date=pa.date32(),
    segment=pa.string(),
    segment_value=pa.string(),
    model_version=pa.string(),
    users=pa.int64(),
    impressions=pa.int64(),
    clicks=pa.int64(),
    ctr=pa.float64(),
    ctr_lower=pa.float64(),
    ctr_upper=pa.float64(),
    clicks_per_100=pa.float64(),
    plays=pa.int64(),
    listen_through=pa.float64(),
    follows=pa.int64(),
    follow_rate=pa.float64(),
    simulated=pa.bool_(),
)
# Users of a segment who left within the horizon before as_of, by model version.
CHURN = _table(
    "gold/churn",
    "as_of",
    as_of=pa.date32(),
    horizon_days=pa.int32(),
    segment=pa.string(),
    segment_value=pa.string(),
    model_version=pa.string(),
    users=pa.int64(),
    churned=pa.int64(),
    churn_rate=pa.float64(),
    churn_lower=pa.float64(),
    churn_upper=pa.float64(),
    mature=pa.bool_(),
    simulated=pa.bool_(),
)
# One column compared with the champion's training window; `score` is the corrected p-value,
# `threshold` its limit.
DRIFT = _table(
    "gold/drift",
    "as_of",
    as_of=pa.date32(),
    kind=pa.string(),
    column=pa.string(),
    method=pa.string(),
    score=pa.float64(),
    threshold=pa.float64(),
    p_value=pa.float64(),
    effect=pa.float64(),
    min_effect=pa.float64(),
    drifted=pa.bool_(),
    reference_mean=pa.float64(),  # null where the column has no mean
    current_mean=pa.float64(),
    users=pa.int64(),
    reference_users=pa.int64(),
    reference_from=pa.date32(),
    reference_until=pa.date32(),  # exclusive: as_of of the champion
    simulated=pa.bool_(),
    report_path=pa.string(),  # relative to the folder of reports
)
# A version against a baseline that some users see, or that some slots are given to.
BASELINES = _table(
    "gold/engagement_baselines",
    "event_date",
    event_date=pa.date32(),
    model_version=pa.string(),
    baseline=pa.string(),
    users=pa.int64(),
    baseline_users=pa.int64(),
    impressions=pa.int64(),
    baseline_impressions=pa.int64(),
    ctr=pa.float64(),
    baseline_ctr=pa.float64(),
    relative_difference=pa.float64(),
    lower=pa.float64(),
    upper=pa.float64(),
    simulated=pa.bool_(),
)
# Share of those who began with a version that had not left `day` days later (Kaplan and Meier).
SURVIVAL = _table(
    "gold/survival",
    "as_of",
    as_of=pa.date32(),
    segment=pa.string(),
    segment_value=pa.string(),
    model_version=pa.string(),
    day=pa.int32(),
    users=pa.int64(),
    at_risk=pa.int64(),
    left=pa.int64(),
    survival=pa.float64(),
    lower=pa.float64(),
    upper=pa.float64(),
    simulated=pa.bool_(),
)
# How much better a family is on what it was fitted to than on days it had not seen.
OVERFIT = _table(
    "gold/overfit",
    "as_of",
    as_of=pa.date32(),
    family=pa.string(),
    train_users=pa.int64(),
    test_users=pa.int64(),
    train=pa.float64(),
    test=pa.float64(),
    gap=pa.float64(),
    gap_lower=pa.float64(),  # null with too few users, as is gap_upper
    gap_upper=pa.float64(),
    usual_gap=pa.float64(),  # null with too few users or earlier days
    usual_test=pa.float64(),
    overfit=pa.bool_(),
)
# What is wrong with the records of a day, one row a measure and what it is of.
DATA_QUALITY = _table(
    "gold/data_quality",
    "event_date",
    event_date=pa.date32(),
    measure=pa.string(),
    key=pa.string(),
    value=pa.float64(),
    of=pa.int64(),
    threshold=pa.float64(),  # null where the measure is told and nothing follows from it
    fails=pa.bool_(),
    blocks=pa.bool_(),
)
# Offline evidence of a model version on what users took up unprompted, one row a test user: what
# the paired bootstrap reads.
OFFLINE_EVIDENCE = _table(
    "gold/offline_evidence",
    "as_of",
    as_of=pa.date32(),
    family=pa.string(),
    user_key=pa.string(),
    recall_at_20=pa.float64(),
    ndcg_at_10=pa.float64(),
    ndcg_at_20=pa.float64(),
)
# The same metrics on what slates led users to in the test days: reported, nothing is decided by
# them.
PROMPTED_EVIDENCE = _table(
    "gold/prompted_evidence",
    "as_of",
    as_of=pa.date32(),
    family=pa.string(),
    user_key=pa.string(),
    recall_at_20=pa.float64(),
    ndcg_at_10=pa.float64(),
    ndcg_at_20=pa.float64(),
)
# The same metrics on what the family was fitted to, one row a user of a sample.
TRAINING_EVIDENCE = _table(
    "gold/training_evidence",
    "as_of",
    as_of=pa.date32(),
    family=pa.string(),
    user_key=pa.string(),
    recall_at_20=pa.float64(),
    ndcg_at_10=pa.float64(),
    ndcg_at_20=pa.float64(),
)
# The serving version and a refit of its family on days that neither was fitted on, one row a test
# user.
VERSION_EVIDENCE = _table(
    "gold/version_evidence",
    "as_of",
    as_of=pa.date32(),
    version=pa.string(),
    purpose=pa.string(),  # what was to be decided: refresh, challenge
    test_from=pa.date32(),  # first of the test days; `as_of` is the first day after them
    user_key=pa.string(),
    recall_at_20=pa.float64(),
    ndcg_at_10=pa.float64(),
    ndcg_at_20=pa.float64(),
    artist_ids=pa.list_(pa.string()),  # the first ten, best first
    scores=pa.list_(pa.float64()),  # of the same, -1..1
)
# Evidence of stages with traffic, one row per user and day in an arm: what the gate and `decide`
# read.
EVIDENCE = _table(
    "gold/evidence",
    "day",
    day=pa.date32(),
    user_key=pa.string(),
    arm=pa.string(),
    **dict.fromkeys(map(str, USER_SEGMENTS), pa.string()),
    impressions=pa.int64(),
    clicks=pa.int64(),
    plays=pa.int64(),
    ms_played=pa.int64(),
    track_ms=pa.int64(),
    followed=pa.int64(),
    active=pa.int8(),
    **{label: pa.int8() for label in churn.LABELS},  # null while its days are not over
    **dict.fromkeys(BEFORE.values(), pa.int64()),
    tail_impressions=pa.int64(),  # of artists with at most the catalogue's median of followers
    stage=pa.string(),
    share=pa.float64(),
    champion_version=pa.string(),
    challenger_version=pa.string(),
)
# What a stage that begins on a day would find, one row per choice of settings (`place` 0: the
# present ones), of days that begin without a stage with traffic. Chances are 0..1.
STAGE_PLAN = _table(
    "gold/stage_plan",
    "as_of",
    as_of=pa.date32(),
    place=pa.int32(),
    users=pa.int64(),  # who could be assigned
    arm_users=pa.int64(),  # of the smaller arm who are expected to be shown something
    stage_max_days=pa.int32(),
    **{one.margin: pa.float64() for one in GUARDRAILS},
    stage_success_users=pa.int64(),
    power=pa.float64(),
    detectable=pa.float64(),  # relative effect on clicks, found with `power`
    # Chance that each guardrail is proven to keep its margin if nothing is harmed.
    **{f"{one.metric}_unharmed": pa.float64() for one in GUARDRAILS},
    promoted_5=pa.float64(),  # chance of a promotion where clicks truly rise by 5 %
    promoted_10=pa.float64(),
)

ALL_TABLES = tuple(_defined)
