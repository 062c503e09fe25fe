"""The configuration, once: environment (`FIRSTCHAIR_*`) over `firstchair.toml` over defaults."""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from firstchair.definitions.families import CONTENDERS, Family, families_in, listing
from firstchair.errors import SettingsError
from firstchair.files import sync_folder, write_once
from firstchair.mappings import AccountMapping, EventMapping
from firstchair.memory import bytes_of, limit_engine

TELEMETRY_OFF = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "DAGSTER_DISABLE_TELEMETRY": "true",
    # OpenBLAS threads fight implicit's own for the cores (benfred/implicit, utils.py).
    "OPENBLAS_NUM_THREADS": "1",
    # Threads that spin while they wait take the cores of those that work.
    "OMP_WAIT_POLICY": "PASSIVE",
}

# MLflow's column for the address of a run's artifacts holds 200 characters (3.17,
# `store/tracking/dbmodels/models.py`); 62 of them follow after the home or stand before it.
LONGEST_HOME = 138
# What the shell of the embedded Postgres' pg_ctl does not take as it is; what DuckDB would read as
# a column of the lake's tables (`name=value`, a partition); what delta-rs (deltalake 1.6.6) panics
# at in a path ("Invalid object store url"), or decodes (`%25`) and then does not find.
NO_PATH = re.compile(r'["$`\\]|=|[\[\]^|]|%[0-9A-Fa-f]{2}|::')


def _unusable(path: str) -> list[str]:
    """What a local path may not hold and does, control characters among it; ascending."""
    unprintable = {letter for letter in path if not letter.isprintable()}
    return sorted({*NO_PATH.findall(path), *unprintable})


# Where a lake on S3 may be: delta-rs encodes other characters twice (deltalake 1.6.6). Published
# lists may be at the same addresses.
ON_S3 = re.compile(r"s3://[a-z0-9.-]+(/[A-Za-z0-9._~-]+)*/?")


def _require_on_s3(url: str) -> None:
    """Raise a ValueError if an address is none of S3 that can be used."""
    if not ON_S3.fullmatch(url):
        raise ValueError(
            f"{url!r} cannot be used; choose s3://bucket/prefix with letters and digits "
            "of ASCII, '.', '_', '~', '-' and single '/'"
        )


# Settings by a name they had before. A value under the old name is refused: in the environment it
# would otherwise go unseen, and the default would apply.
RENAMED = {"holdback_share": "holdout_share"}

# Variables that are no settings: the address for Dagster's own instance, those of the tests, and
# what Kubernetes sets in every container for a service whose name begins with firstchair.
OTHER_VARIABLES = re.compile(
    r"DAGSTER_POSTGRES_URL|TESTS_\w+"
    r"|(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)",
    re.IGNORECASE,
)


# Fields beyond the contract's of this project's own events: the simulated world, the loaders of
# `firstchair load`, ready mappings, and what a missing catalogue is derived from. None describes a
# person.
EXTRA_FIELDS = (
    *("app_version", "artist_name", "duration_ms", "ms_played_from", "resent", "skipped"),
    *("track_title", "was_recommended"),
)


class EventSource(BaseModel):
    """How records of the event store are read, where they have another form than the contract's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mapping: EventMapping | None = None


class AccountSource(BaseModel):
    """Where accounts and catalogue are, where they have another form than the contract's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mapping: AccountMapping = AccountMapping()


# Settings of days, the first of which may not exceed the second: a stage would be over before a
# step of the ramp is, before a success or a harm is read, or a champion be confirmed unread.
DAYS_IN_ORDER = (
    ("stage_min_days", "stage_max_days"),
    ("ramp_days", "stage_max_days"),
    ("ramp_days_small", "stage_max_days"),
    ("stage_success_days", "stage_max_days"),
    ("stage_harm_days", "stage_max_days"),
    ("stage_segment_days", "stage_max_days"),
    ("stage_harm_days", "probation_min_days"),
    ("probation_min_days", "probation_max_days"),
)


class Settings(BaseSettings):
    """What a run needs to know about its surroundings; every path absolute, every secret hidden.

    Raises:
        SettingsError: through `load_settings`, naming the key, its value's fault and the remedy.
    """

    model_config = SettingsConfigDict(
        env_prefix="FIRSTCHAIR_", toml_file="firstchair.toml", extra="forbid", validate_default=True
    )

    home: Path = Field(Path(".firstchair"), description="everything the embedded default writes")
    events_url: str = Field("", description="event objects, any fsspec URL or a plain path")
    source_database_url: str = Field(
        "", description="account table and catalogue; empty: embedded Postgres"
    )
    events: EventSource = Field(
        EventSource(), description="`[events.mapping]`: how records of another form are read"
    )
    extra_fields: str = Field(
        " ".join(EXTRA_FIELDS),
        description="fields beyond the contract's whose values are kept, by blanks or commas",
    )
    accounts: AccountSource = Field(
        AccountSource(), description="`[accounts.mapping]`: tables by other names, or queries"
    )
    database_url: str = Field(
        "", description="ledger, MLflow's and Dagster's storage; empty: embedded Postgres"
    )
    lake_url: str = Field(
        "", description="where our Delta tables live: a folder or s3://bucket/..."
    )
    published_url: str = Field(
        "", description="published lists are copied there: s3://bucket/...; empty: to nowhere"
    )
    published_poll_seconds: int = Field(
        10, ge=1, description="how often a host of logins looks there for newer lists"
    )
    s3_endpoint_url: str = Field(
        "", description="where S3 answers; empty: AWS_ENDPOINT_URL, or AWS"
    )
    s3_region: str = Field("", description="region of the buckets; empty: AWS_REGION")
    s3_access_key_id: str = Field(
        "", description="empty: AWS_ACCESS_KEY_ID, or the rights of the machine"
    )
    s3_secret_access_key: SecretStr = Field(
        SecretStr(""), description="secret of s3_access_key_id; empty: AWS_SECRET_ACCESS_KEY"
    )
    mlflow_tracking_uri: str = Field("", description="empty: MLflow on database_url")
    engine: Literal["duckdb", "spark"] = Field(
        "duckdb", description="what computes features, the matrix and lists"
    )
    memory_limit: str = Field(
        "",
        description="what DuckDB may hold in a process, such as 4GiB; empty: a quarter of the "
        "machine's or container's memory",
    )
    als_fitted_by: Literal["implicit", "spark"] = Field(
        "implicit", description="what fits ALS: implicit in this process, or Spark's MLlib"
    )
    spark_master: str = Field(
        "local[2]", description="where Spark runs: local[n], spark://..., yarn, k8s://..."
    )
    spark_options: str = Field("", description="properties of Spark as spark.name=value, by blanks")
    pseudonym_key: SecretStr = Field(
        SecretStr(""), description="secret for user_key; made once in home"
    )
    tombstone_key: SecretStr = Field(
        SecretStr(""), description="secret that recognises forgotten users; made once in home"
    )
    api_token: SecretStr = Field(SecretStr(""), description="bearer token; made once in home")
    tokens_file: str = Field(
        "", description="further tokens, by digest; empty: tokens.json in home"
    )
    oidc_issuer: str = Field(
        "", description="identity provider that signs people in to the console; empty: none"
    )
    oidc_client_id: str = Field("", description="the console's name at the provider")
    oidc_client_secret: SecretStr = Field(
        SecretStr(""), description="the console's secret at the provider"
    )
    oidc_scopes: str = Field("openid profile", description="what is asked of the provider")
    oidc_name_claim: str = Field(
        "preferred_username", description="claim that names a person; else `sub` does"
    )
    oidc_role_claim: str = Field("groups", description="claim that says what a person may do")
    oidc_operators: str = Field(
        "", description="values of that claim that make an operator, by commas"
    )
    oidc_viewers: str = Field("", description="values of that claim that make a viewer, by commas")
    alert_webhook_url: str | None = Field(None, description="alerts go to the log, and here")
    alert_webhook_secret: SecretStr = Field(
        SecretStr(""), description="signs alerts; empty: derived from api_token"
    )
    alert_webhook_format: Literal["firstchair", "slack", "pagerduty"] = Field(
        "firstchair", description="what the address of alerts reads"
    )
    alert_routing_key: SecretStr = Field(
        SecretStr(""), description="integration key of a PagerDuty service"
    )
    traces_url: str = Field(
        "", description="OpenTelemetry traces go there, such as http://host:4318/v1/traces"
    )
    traces_share: float = Field(
        1.0, gt=0, le=1, description="share of logins and runs that are traced"
    )
    openlineage_url: str = Field(
        "", description="OpenLineage events of runs go there: http(s)://... or a file; empty: none"
    )
    openlineage_api_key: SecretStr = Field(
        SecretStr(""), description="bearer token of openlineage_url; empty: none"
    )

    seed: int = Field(20260101, ge=0, description="root of every seeded choice of the pipeline")
    k_anonymity: int = Field(
        20, ge=1, description="a segment cell under this many users is merged into other"
    )
    list_length: int = Field(50, ge=1, le=500, description="artists in a user's list")
    diversity: float = Field(
        0.0, ge=0, le=1, description="weight of unlike genres against the score in a list's order"
    )
    late_tolerance_days: int = Field(
        3, ge=0, description="days an event may be late before it is only counted"
    )
    max_quarantine_rate: float = Field(
        0.2, ge=0, le=1, description="above it a day's data are not built on"
    )
    contenders: str = Field(
        listing(CONTENDERS),
        description="model families that may challenge the champion, by blanks or commas",
    )
    first_champion: str = Field(
        "", description="one of them that serves first; empty: the best of them on test days"
    )
    min_test_users: int = Field(
        2000, ge=1, description="offline evidence on fewer users is not a proof"
    )
    bootstrap_samples: int = Field(1000, ge=100, description="resamples of the paired bootstrap")
    alpha: float = Field(0.05, gt=0, lt=0.5, description="two-sided error of the offline intervals")
    leak_alarm: float = Field(
        0.5,
        gt=0,
        description="share by which NDCG@10 may be better before a person has to look for a leak",
    )
    stage_min_days: int = Field(21, ge=1, description="shortest decision stage")
    stage_max_days: int = Field(35, ge=1, description="longest decision stage")
    stage_success_days: int = Field(7, ge=1, description="days of data before a success is read")
    stage_harm_days: int = Field(3, ge=1, description="days of data before a harm is read")
    stage_segment_days: int = Field(
        7, ge=1, description="days of data before a harm to a segment is read"
    )
    stage_success_users: int = Field(
        1000, ge=2, description="least users of an arm for a promotion"
    )
    stage_harm_users: int = Field(
        500, ge=2, description="least users of an arm for a harm to be read"
    )
    ramp_days: int = Field(3, ge=1, description="days at 5 %, and at 20 %, before the next step")
    ramp_days_small: int = Field(7, ge=1, description="the same under 50,000 users")
    listen_margin: float = Field(
        0.02, gt=0, lt=1, description="share by which listen-through may be worse"
    )
    active_margin: float = Field(
        0.02, gt=0, lt=1, description="share by which active days may be fewer"
    )
    exposure_margin: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share by which a challenger may show small artists less; none: not asked",
    )
    probation_min_days: int = Field(28, ge=1, description="shortest probation")
    probation_max_days: int = Field(42, ge=1, description="longest probation")
    blind_needs_person: bool = Field(
        False, description="a segment too small to see harm in holds the promotion back"
    )
    refresh_margin: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="share of NDCG@10 by which a refit may be worse",
    )
    refresh_min_overlap: float = Field(
        0.5,
        ge=0,
        le=1,
        description="least share of the top 10 that a refit keeps",
    )
    refresh_max_coverage_loss: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the coverage a refit may lose",
    )
    refresh_max_score_shift: float = Field(
        0.25,
        gt=0,
        description="largest stability index of a refit's scores",
    )
    refresh_max_test_days: int = Field(7, ge=1, description="days on which a refit may be tested")
    refresh_needs_canary: bool = Field(
        False,
        description="a refit goes through canary like any other challenger",
    )
    wanted_effect: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="relative effect on clicks that a decision stage has to be able to find",
    )
    arm_salt: str = Field(
        "first", min_length=1, description="another one assigns all users to arms anew"
    )
    canary_share: float = Field(
        0.5,
        gt=0.2,  # the last step of the ramp, which tests safety alone
        le=0.9,
        description="users outside the holdout who see a challenger in its decision stage",
    )
    holdout_share: float = Field(0.01, ge=0, le=0.1, description="users who see trending for good")
    fold_in: bool = Field(
        True, description="a login counts what the user did since their list was made"
    )
    lake_retention_days: int = Field(
        7, ge=1, description="days for which every version of a table stays readable"
    )
    report_retention_days: int = Field(
        180, ge=1, description="days for which pages of monitoring are kept"
    )
    spool_retention_days: int = Field(
        30, ge=1, description="days for which unreadable lines of the spool are kept"
    )
    api_host: str = Field("127.0.0.1", description="address that the API listens at")
    allowed_hosts: str = Field(
        "", description="names in the Host header that are answered beside loopback, by commas"
    )
    api_port: int = Field(8000, ge=1, le=65535, description="port of the API")
    api_workers: int = Field(1, ge=1, le=256, description="processes that answer logins")
    api_connections: int = Field(
        4096, ge=16, le=65_536, description="open connections of a process that answers logins"
    )
    loopback_reads: bool = Field(
        True, description="who comes over loopback may read Dagster and MLflow without a token"
    )
    settle_minutes: int = Field(
        30, ge=0, description="after a home's first start nothing heavy begins by itself"
    )
    dagster_port: int = Field(3000, ge=1, le=65535, description="port of the Dagster webserver")
    mlflow_port: int = Field(5000, ge=1, le=65535, description="port of the MLflow UI")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments over environment over `firstchair.toml`."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @field_validator("home")
    @classmethod
    def _usable(cls, home: Path) -> Path:
        """The absolute path, where everything that is kept in it can be addressed by it."""
        home = home.expanduser().resolve()
        text = str(home)
        if found := _unusable(text):
            raise ValueError(
                f"{text!r} holds {', '.join(map(repr, found))}; choose a folder without"
            )
        if (length := len(home.as_uri()) - len("file://")) > LONGEST_HOME:
            raise ValueError(
                f"{text} is too long: {length} characters, counted as in an address (a letter "
                f"outside ASCII is 6 or more); choose one of at most {LONGEST_HOME}"
            )
        return home

    @field_validator("contenders")
    @classmethod
    def _families(cls, contenders: str) -> str:
        """The names, each once, where all are names of families."""
        return listing(families_in(contenders))

    @field_validator("memory_limit")
    @classmethod
    def _is_a_size(cls, memory_limit: str) -> str:
        """The size, where it is one that the engine can work in."""
        if memory_limit:
            bytes_of(memory_limit)
        return memory_limit

    @field_validator("lake_url")
    @classmethod
    def _readable(cls, lake_url: str) -> str:
        """The address, where tables can be written and read there."""
        if "://" in lake_url and not lake_url.startswith(("file://", "s3://")):
            raise ValueError(f"{lake_url!r} is neither a folder nor an address that begins s3://")
        if lake_url.startswith("s3://"):
            _require_on_s3(lake_url)
        if "://" not in lake_url and (found := _unusable(lake_url)):
            named = ", ".join(map(repr, found))
            raise ValueError(f"{lake_url!r} holds {named}; choose a folder without")
        return lake_url

    @field_validator("published_url")
    @classmethod
    def _in_a_bucket(cls, published_url: str) -> str:
        """The address without a last `/`, if it is one of S3."""
        if published_url:
            _require_on_s3(published_url)
        return published_url.rstrip("/")

    @field_validator("spark_options")
    @classmethod
    def _are_properties(cls, spark_options: str) -> str:
        """The options, where each is a property of Spark with a value."""
        for option in spark_options.split():
            if not re.fullmatch(r"spark\.[^=]+=.+", option):
                raise ValueError(f"{option!r} is not of the form spark.name=value")
        return spark_options

    @model_validator(mode="after")
    def _fill_defaults_from_home(self) -> Self:
        self.events_url = self.events_url or str(self.home / "landing" / "events")
        self.lake_url = self.lake_url or str(self.home / "lake")
        if self.engine == "spark" and self.lake_url.startswith("s3://"):
            raise ValueError(
                f"engine spark reads a lake in a folder, and lake_url is {self.lake_url!r}; choose "
                "a folder that all machines of Spark share, or engine duckdb"
            )
        if bool(self.s3_access_key_id) != bool(self.s3_secret_access_key.get_secret_value()):
            raise ValueError("s3_access_key_id and s3_secret_access_key are set together or not")
        keyed = bool(self.alert_routing_key.get_secret_value())
        if (self.alert_webhook_format == "pagerduty") != keyed:
            raise ValueError(
                "alert_webhook_format pagerduty and alert_routing_key are set together or not"
            )
        self._require_whole_oidc()
        if self.first_champion and self.first_champion not in self.contending_families:
            raise ValueError(
                f"first_champion {self.first_champion} is none of the contenders; choose from "
                f"{', '.join(self.contending_families)}"
            )
        self._require_days_in_order()
        return self

    def _require_days_in_order(self) -> None:
        """Raise if a stage would be over before what it waits for could come.

        What nobody set follows a shorter stage: its default is no wish.
        """
        wanted = set(self.model_fields_set)
        for least, most in DAYS_IN_ORDER:
            low, high = getattr(self, least), getattr(self, most)
            if low > high and least not in wanted:
                setattr(self, least, high)
            elif low > high:
                raise ValueError(f"{least} {low} exceeds {most} {high}")

    def _require_whole_oidc(self) -> None:
        """Raise if a provider is set of which something is missing."""
        if not self.oidc_issuer:
            return
        if not self.oidc_issuer.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            raise ValueError(f"oidc_issuer {self.oidc_issuer!r} does not begin with https://")
        if not (self.oidc_client_id and self.oidc_client_secret.get_secret_value()):
            raise ValueError("oidc_issuer needs oidc_client_id and oidc_client_secret")
        if "openid" not in self.oidc_scopes.split():
            raise ValueError("oidc_scopes has to hold openid")
        if not (self.oidc_operators or self.oidc_viewers):
            raise ValueError("oidc_issuer needs oidc_operators or oidc_viewers")

    @property
    def contending_families(self) -> tuple[Family, ...]:
        """Families that may challenge the champion, in the order of the setting."""
        return families_in(self.contenders)

    @property
    def kept_extra_fields(self) -> frozenset[str]:
        """Names of the fields beyond the contract's whose values are kept."""
        return frozenset(self.extra_fields.replace(",", " ").split())

    @property
    def uses_spark(self) -> bool:
        """Whether anything is computed by Spark."""
        return "spark" in (self.engine, self.als_fitted_by)

    @property
    def spark_properties(self) -> tuple[tuple[str, str], ...]:
        """Names and values of `spark_options`."""
        pairs = (option.partition("=") for option in self.spark_options.split())
        return tuple((name, value) for name, _, value in pairs)

    @property
    def published(self) -> Path:
        """Where lists are published for the API."""
        return self.home / "published"

    @property
    def tokens(self) -> Path:
        """The file of the tokens beside `api_token`."""
        return Path(self.tokens_file) if self.tokens_file else self.home / "tokens.json"

    @property
    def spool(self) -> Path:
        """Where impressions and posted events stand until they are in the event store."""
        return self.home / "spool"

    @property
    def forgotten(self) -> Path:
        """Where the tombstones of forgotten users stand."""
        return self.home / "forgotten"

    @property
    def reports(self) -> Path:
        """Where pages of monitoring stand, by concern and date."""
        return self.home / "reports"

    @property
    def event_index(self) -> Path:
        """Folder of what spares reading all events again; it may be deleted, and is made anew."""
        return self.home / "event-index"

    @property
    def api_address(self) -> str:
        """Where `firstchair up` serves the API."""
        host = f"[{self.api_host}]" if ":" in self.api_host else self.api_host
        return f"http://{host}:{self.api_port}"

    def page(self, name: str) -> str:
        """Address of a page of the console, such as `decisions`."""
        return f"{self.api_address}/{name}"

    @property
    def dagster_address(self) -> str:
        """Where `firstchair up` serves the Dagster UI."""
        return f"http://127.0.0.1:{self.dagster_port}"

    @property
    def mlflow_address(self) -> str:
        """Where `firstchair up` serves the MLflow UI."""
        return f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def rotation(self) -> Path:
        """What a rotation of the pseudonym key is completed by; there only until it is."""
        return self.home / "rotation"

    def require_one_key(self) -> None:
        """Raise if pseudonyms of two keys may stand in tables and lists.

        Raises:
            SettingsError: A rotation of the pseudonym key was interrupted.
        """
        if self.rotation.exists():
            raise SettingsError(
                "A rotation of the pseudonym key is under way, or was interrupted.",
                where=str(self.rotation),
                data="Nothing was read or written.",
                remedy="Wait for it, or complete it: run `firstchair rotate-key` again.",
            )

    def secret_pseudonym_key(self) -> bytes:
        """The key of the user pseudonyms; made once in `home` (mode 0600) where none is set.

        Raises:
            SettingsError: A rotation was interrupted, the setting holds a key from before one, or
                the file of the key is empty.
        """
        self.require_one_key()
        set_one, kept = self.pseudonym_key.get_secret_value(), self.home / "pseudonym_key"
        if set_one and self._rotated.exists() and set_one != kept.read_text().strip():
            raise SettingsError(
                "The pseudonym key was rotated; the setting pseudonym_key is another key.",
                where="FIRSTCHAIR_PSEUDONYM_KEY or pseudonym_key in firstchair.toml",
                data="Nothing was read or written; under another key every user would be unknown.",
                remedy=f"Set it to the key in {kept}, or remove the setting.",
            )
        return self.pseudonym_key_before_rotation()

    def pseudonym_key_before_rotation(self) -> bytes:
        """The key that was in force before a rotation that is under way."""
        return (
            self.pseudonym_key.get_secret_value() or _kept_secret(self.home / "pseudonym_key")
        ).encode()

    def replace_pseudonym_key(self, file: Path) -> None:
        """Have `home` keep the key in this file, which is moved, in the place of the one before."""
        self._rotated.touch(mode=0o600)
        file.replace(self.home / "pseudonym_key")
        sync_folder(self.home)

    @property
    def _rotated(self) -> Path:
        """There once `home` keeps a key that a rotation made."""
        return self.home / "pseudonym_key.rotated"

    def keep_pseudonym_key(self, key: str) -> None:
        """Have `home` keep this key, unless it keeps one already."""
        _kept_secret(self.home / "pseudonym_key", key)

    def secret_tombstone_key(self) -> bytes:
        """The key of the tombstones; made once in `home` (mode 0600) where none is set."""
        return (
            self.tombstone_key.get_secret_value() or _kept_secret(self.home / "tombstone_key")
        ).encode()

    def name_s3(self) -> None:
        """Set the variables by which libraries reach S3, in this process and those it starts.

        What is not set here is left to AWS's own variables, files and the rights of the machine.
        A variable that would go before a setting, such as the token of another key, is overruled.
        """
        variables = {
            "AWS_ENDPOINT_URL": self.s3_endpoint_url,
            "AWS_ENDPOINT_URL_S3": self.s3_endpoint_url,
            "AWS_REGION": self.s3_region,  # read by delta-rs
            "AWS_DEFAULT_REGION": self.s3_region,  # read by botocore
            "AWS_ACCESS_KEY_ID": self.s3_access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.s3_secret_access_key.get_secret_value(),
        }
        if self.s3_access_key_id:
            os.environ.pop("AWS_SESSION_TOKEN", None)
        os.environ.update({name: value for name, value in variables.items() if value})

    def limit_engine(self) -> None:
        """Hold the engine of this process to `memory_limit`."""
        limit_engine(bytes_of(self.memory_limit) if self.memory_limit else None)

    def secret_api_token(self) -> str:
        """The bearer token of the API; made once in `home` (mode 0600) where none is set."""
        return self.api_token.get_secret_value() or _kept_secret(self.home / "api_token")

    def secret_webhook_key(self) -> bytes:
        """The key that signs alerts, or hex HMAC-SHA256(api_token, "alert webhook") if unset."""
        derived = hmac.new(
            self.secret_api_token().encode(), b"alert webhook", hashlib.sha256
        ).hexdigest()
        return (self.alert_webhook_secret.get_secret_value() or derived).encode()


def load_settings() -> Settings:
    """Read the settings of this process, switch telemetry off, limit the engine, say where S3 is.

    Raises:
        SettingsError: A key or a variable FIRSTCHAIR_* is unknown, or its value cannot be used;
            nothing was read or written.
    """
    for name, value in TELEMETRY_OFF.items():
        os.environ.setdefault(name, value)
    in_environment = {name.lower() for name in os.environ}
    if old := next((old for old in RENAMED if f"firstchair_{old}" in in_environment), None):
        raise _renamed(old)
    _require_known(os.environ)
    try:
        settings = Settings()
        settings.name_s3()
        settings.limit_engine()
        return settings
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if key in RENAMED:
            raise _renamed(key) from error
        keys = [key] if key else _named_in(first["msg"])
        variables = " and ".join(f"FIRSTCHAIR_{name.upper()}" for name in keys)
        raise SettingsError(
            f"{error.error_count()} setting(s) cannot be used; first: {' and '.join(keys)}: "
            f"{first['msg']}.",
            where=f"{variables} or {' and '.join(keys)} in firstchair.toml",
            data="Nothing was read or written.",
            remedy=f"Correct it; the keys are {', '.join(Settings.model_fields)}.",
        ) from error
    except (ValueError, OSError) as error:  # no TOML, no UTF-8, or a file that cannot be read
        raise SettingsError(
            f"The settings file cannot be read: {error}.",
            where=str(Path("firstchair.toml").absolute()),
            data="Nothing was read or written.",
            remedy="Correct the line that is named (TOML 1.0, UTF-8), or move the file away.",
        ) from error


def _require_known(environment: Iterable[str]) -> None:
    """Raise if a variable has the prefix of settings and is none: its value would go unseen."""
    prefix, known = "firstchair_", Settings.model_fields
    for name in sorted(environment):
        key = name.lower().removeprefix(prefix)
        if not name.lower().startswith(prefix) or key in known or OTHER_VARIABLES.fullmatch(key):
            continue
        near = get_close_matches(key, known, n=1)
        rename = f"Rename it to FIRSTCHAIR_{near[0].upper()}, or unset it" if near else "Unset it"
        raise SettingsError(
            f"The variable {name} is no setting, so its value would have no effect.",
            where=f"{name} in the environment",
            data="Nothing was read or written.",
            remedy=f"{rename}; the keys are {', '.join(known)}.",
        )


def _named_in(message: str) -> list[str]:
    """The settings that a fault of several together names, without what stands in quotes."""
    words = re.findall(r"\w+", re.sub(r"'[^']*'", "", message))
    return list(dict.fromkeys(word for word in words if word in Settings.model_fields))


def _renamed(old: str) -> SettingsError:
    """The fault of a setting under a name that it had before."""
    return SettingsError(
        f"The setting {old} is named {RENAMED[old]} now, with the same meaning and range.",
        where=f"FIRSTCHAIR_{old.upper()} or {old} in firstchair.toml",
        data="Nothing was read or written.",
        remedy=f"Rename it to FIRSTCHAIR_{RENAMED[old].upper()} or {RENAMED[old]}; keep its value.",
    )


def _kept_secret(path: Path, first: str = "") -> str:
    """The secret in `path`; the first call writes it with mode 0600, by default at random.

    Raises:
        SettingsError: The file is empty, so that anybody would know the secret.
    """
    if not path.exists():
        write_once(path, (first or secrets.token_hex(32)).encode(), mode=0o600)
    secret = path.read_text().strip(" \t\r\n\0")  # a file that lost power may hold zeros
    if secret:
        return secret
    raise SettingsError(
        f"The file of the secret {path.name} is empty.",
        where=str(path),
        data="Nothing was read or written; the tables and lists are under the secret it held.",
        remedy="Put the secret back from a backup. Where it is api_token, or the home holds no "
        "data yet, remove the file instead: the next start makes a new one.",
    )
