"""The MLflow registry: registered versions of `artist-recommender`, their tags, and the aliases."""

import hashlib
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firstchair import models
from firstchair.definitions.mlflow_pages import (
    NOTE,
    described_run,
    ensure_experiment,
    experiment_tags,
    log_points,
    quieten_mlflow,
    view_of_runs,
)
from firstchair.errors import ModelError, UnknownVersionError
from firstchair.models import FAMILIES, Family
from firstchair.promotion.stages import Stage

if TYPE_CHECKING:
    from firstchair.models import Recommender

NAME = "artist-recommender"
ARTIFACT = "model"
FOLLOWED = "ledger_entry"
# The text before the newest decision in the description of a version.
DECIDED = "\n\nNewest decision: "
ABOUT_MODEL = (
    "Artist recommendations for the users of a music service. The alias `champion` is the version "
    "that serves, `challenger` the one that is compared with it, `previous` the one that served "
    "before. Aliases follow the ledger; one that is moved here is put back."
)
ABOUT_RUNS = (
    "One run per model family and day, fitted on everything before `as_of`. Metrics that "
    "begin with `test_` are of days that the model had not seen, those with `train_` of its "
    "training data."
)
COLUMNS = (
    "test_ndcg_at_10",
    "test_recall_at_20",
    "test_coverage_at_20",
    "train_ndcg_at_10",
    "train_recall_at_20",
)
# Tag of a version: SHA-256 of its model's files, by which damage is found.
DIGEST = "artifact_sha256"
# Tags of every version that this platform registers.
TAGS = frozenset({"family", "as_of", "data_fingerprint", "stage"})
# Error codes of MLflow for a missing model or alias.
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


@contextmanager
def _answering(deed: str) -> Iterator[None]:
    """Turn whatever MLflow and its store raise into one error that says what was tried."""
    try:
        yield
    except Exception as error:  # its own, SQLAlchemy's, requests' and OSError alike
        raise ModelError(
            f"MLflow did not {deed}: {' '.join(str(error).split())}.",
            where=f"registered model {NAME}",
            data="Versions registered before stand; a move of an alias is repeated by the next "
            "check.",
            remedy="Bring MLflow back, or check FIRSTCHAIR_MLFLOW_TRACKING_URI, then run again.",
        ) from error


class Alias(StrEnum):
    """Names that point at a version."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    PREVIOUS = "previous"


@dataclass(frozen=True, slots=True)
class Pointers:
    """Aliases and state of the registered model.

    aliases: number of the version that each alias points at, by name. followed: sequence number of
    the last entry of the ledger that aliases and stages were brought in line with; None before one.
    """

    aliases: Mapping[str, str]
    followed: int | None


@dataclass(frozen=True, slots=True)
class Training:
    """Why and where a version was fitted.

    cause: in words. run_url: address of the Dagster run; None outside of one.
    """

    cause: str
    run_url: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version with its tags; `version` is MLflow's number as text."""

    version: str
    family: str
    as_of: date
    data_fingerprint: str
    stage: str
    run_id: str


def _digest(folder: Path) -> str:
    """SHA-256 of the names and contents of all files in a folder; in hex."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _note(
    model: "Recommender",
    as_of: date,
    metrics: Mapping[str, float],
    training: Training | None,
    *,
    simulated: bool,
) -> str:
    """Description of a run and its version."""
    title = FAMILIES[model.family].title
    sentences = [f"{title}, fitted on everything before {as_of}."]
    if training is not None:
        sentences.append(f"Cause of the training: {training.cause}.")
    known = [f"{name} {metrics[name]:.4f}" for name in COLUMNS if name in metrics]
    sentences += [f"{', '.join(known)}."] if known else []
    links = {"Dagster run": training.run_url} if training is not None and training.run_url else {}
    return described_run(sentences, links, simulated=simulated)


class Registry:
    """Registered versions in one MLflow; artefacts under `artifact_root`.

    console: address of the review console, for links in descriptions; empty: none.
    """

    def __init__(self, tracking_uri: str, artifact_root: Path) -> None:
        self.tracking_uri = tracking_uri
        self.artifact_root = artifact_root
        self.console = ""

    @cached_property
    def _client(self) -> Any:
        """MLflow's client for runs."""
        quieten_mlflow()
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)

    @cached_property
    def _models(self) -> Any:
        """MLflow's client for the registry alone.

        `MlflowClient` reads every version of the model before each write, to see that it is no
        prompt (mlflow 3.17, tracking/client.py, `_raise_if_prompt`), and opens the store of runs.
        """
        quieten_mlflow()
        from mlflow.tracking.client import ModelRegistryClient

        return ModelRegistryClient(self.tracking_uri, self.tracking_uri)

    def register(
        self,
        model: "Recommender",
        *,
        as_of: date,
        data_fingerprint: str,
        metrics: Mapping[str, float],
        seed: int,
        simulated: bool,
        training: Training | None = None,
        curves: Mapping[str, Sequence[float]] | None = None,
        documents: Mapping[str, Any] | None = None,
        pictures: Mapping[str, Any] | None = None,
    ) -> Version:
        """Log a run and register its model; idempotent for one family, day, data and seed.

        Documents are logged as JSON, pictures (matplotlib figures) as PNG. The run is complete
        before the version is made, so a version without artifacts cannot exist. `simulated` (some
        event behind it is) is a tag of the run and of the version. `training` is in their
        descriptions. `curves`, values by step of the fit, are metrics of the run.

        Raises:
            ModelError: MLflow cannot be written.
        """
        tags = {
            "family": str(model.family),
            "as_of": as_of.isoformat(),
            "data_fingerprint": data_fingerprint,
        }
        tags |= {"simulated": str(simulated).lower(), "cause": training.cause if training else ""}
        note = _note(model, as_of, metrics, training, simulated=simulated)
        known = [
            v
            for v in self.versions(as_of=as_of, family=model.family)
            if v.data_fingerprint == data_fingerprint
        ]
        if known:
            return known[-1]
        with _answering(f"register {model.family} of {as_of}"):
            run = self._client.create_run(
                self.ensure_experiment(),
                run_name=f"{model.family} {as_of}",
                tags=tags | {NOTE: note},
            )
            run_id = run.info.run_id
            self._log_figures(run_id, {**model.parameters(), "seed": seed}, metrics)
            for name, values in (curves or {}).items():
                self._log_curve(run_id, name, values)
            files = _artifacts(run.info.artifact_uri)
            _log_documents(files, documents or {}, pictures or {})
            _, digest = _log_model(files, model)
            self._client.set_terminated(run_id)
            made = self._new_version(
                source=f"{run.info.artifact_uri}/{ARTIFACT}",
                run_id=run_id,
                tags={**tags, "stage": str(Stage.CANDIDATE), DIGEST: digest},
                description=note,
            )
        return self._described(made)

    def _new_version(self, **of_it: Any) -> Any:
        """Make a version; the registered model too, if this is its first one."""
        from mlflow.exceptions import MlflowException

        try:
            return self._models.create_model_version(NAME, **of_it)
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
        self._ensure_registered()
        return self._models.create_model_version(NAME, **of_it)

    def versions(self, *, as_of: date | None = None, family: str | None = None) -> list[Version]:
        """Registered versions by number ascending, of one day or family if given.

        Versions that were registered by other means, or that lost a tag, are left out.
        """
        wanted = {
            "as_of": as_of.isoformat() if as_of else None,
            "family": str(family) if family else None,
        }
        terms = [
            f"name = '{NAME}'",
            *(f"tags.`{name}` = '{value}'" for name, value in wanted.items() if value),
        ]
        found: list[Any] = []
        with _answering("list versions"):
            page = self._models.search_model_versions(" and ".join(terms), max_results=1000)
            found += page
            while page.token:
                page = self._models.search_model_versions(
                    " and ".join(terms), max_results=1000, page_token=page.token
                )
                found += page
            own = [version for version in found if version.tags.keys() >= TAGS]
            own.sort(key=lambda version: int(version.version))
            return [self._described(version) for version in own]

    def newest(self, as_of: date) -> dict[str, Version]:
        """The newest version of each family that was fitted on events before `as_of` only."""
        known = [version for version in self.versions() if version.as_of <= as_of]
        return {
            version.family: version
            for version in sorted(known, key=lambda v: (v.as_of, int(v.version)))
        }

    def version(self, number: str) -> Version:
        """The version of that number.

        Raises:
            UnknownVersionError: There is no such version.
            ModelError: The registry does not answer.
        """
        found = self.find(number)
        if found is None:
            raise self._unknown(number)
        return found

    def find(self, number: str) -> Version | None:
        """The version with that number; None if there is none, or it was deleted in MLflow.

        Raises:
            ModelError: The registry does not answer.
        """
        if not re.fullmatch(r"[0-9]{1,9}", number):
            return None
        return self._own(
            f"read version {number}", lambda: self._models.get_model_version(NAME, number)
        )

    def _own(self, deed: str, ask: Callable[[], Any]) -> Version | None:
        """The version that MLflow returns; None if it has none, or one without our tags."""
        from mlflow.exceptions import MlflowException

        with _answering(deed):
            try:
                found = ask()
            except MlflowException as error:
                if error.error_code not in ABSENT:
                    raise
                return None
            return self._described(found) if found.tags.keys() >= TAGS else None

    def _change(self, deed: str, number: str, do: Callable[[], Any]) -> None:
        """Change a version or an alias of it.

        Raises:
            ModelError: There is no such version, or the registry does not answer.
        """
        from mlflow.exceptions import MlflowException

        absent = False
        with _answering(deed):
            try:
                do()
            except MlflowException as error:
                absent = error.error_code in ABSENT
                if not absent:
                    raise
        if absent:
            raise self._unknown(number)

    def _unknown(self, number: str) -> UnknownVersionError:
        known = self.versions()
        day = max((v.as_of for v in known), default=None)
        newest = [v for v in known if v.as_of == day]
        named = ", ".join(f"{v.version} ({v.family})" for v in newest)
        was_there = known and number.isdigit() and int(number) < max(int(v.version) for v in known)
        gone = "It was deleted in MLflow, or lost its tags there. " if was_there else ""
        return UnknownVersionError(
            f"There is no version {number} of {NAME}.",
            where=f"registered model {NAME}",
            data="Nothing was changed; lists published before stay.",
            remedy=f"{gone}Choose one; the newest of {len(known):,} are {named}. "
            "`firstchair promote VERSION --reason TEXT` puts one in the place of a lost champion."
            if known
            else "Build models with `firstchair run`.",
        )

    def replace(self, version: Version, model: "Recommender", *, data_fingerprint: str) -> Version:
        """Put another fit in place of a version's artifacts; number, stage and aliases stay.

        Files of the earlier fit that the new one lacks are removed. It may be repeated: until it is
        done, the version's files may be of both fits.

        Raises:
            ModelError: MLflow cannot be written.
        """
        with _answering(f"replace version {version.version}"):
            run = self._client.get_run(version.run_id)
            files = _artifacts(run.info.artifact_uri)
            before = set(_files_under(files, ARTIFACT))
            written, digest = _log_model(files, model)
            for path in sorted(before - {f"{ARTIFACT}/{name}" for name in written}):
                files.delete_artifacts(path)
            self._client.set_tag(version.run_id, "data_fingerprint", data_fingerprint)
            for tag, value in (("data_fingerprint", data_fingerprint), (DIGEST, digest)):
                self._models.set_model_version_tag(NAME, version.version, tag, value)
        return self.version(version.version)

    def seed(self, version: Version) -> int | None:
        """The seed that a version was fitted with; None where its run does not say it.

        Raises:
            ModelError: The registry does not answer.
        """
        with _answering(f"read the parameters of version {version.version}"):
            seed = self._client.get_run(version.run_id).data.params.get("seed")
        return None if seed is None else int(seed)

    def metrics(self, version: Version) -> dict[str, float]:
        """Metrics of a version by name; empty if its run was deleted for good.

        Raises:
            ModelError: The registry does not answer.
        """
        from mlflow.exceptions import MlflowException

        with _answering(f"read the metrics of version {version.version}"):
            try:
                return dict(self._client.get_run(version.run_id).data.metrics)
            except MlflowException as error:
                if error.error_code not in ABSENT:
                    raise
                return {}

    def load(self, version: Version) -> "Recommender":
        """The fitted model of a version, from its artefacts.

        Raises:
            ModelError: The artefacts are missing, damaged, or of an unknown format.
        """
        import mlflow.artifacts
        from mlflow.exceptions import MlflowException

        with _answering(f"read version {version.version}"):
            registered = self._models.get_model_version(NAME, version.version)
            source = registered.source
        try:
            path = mlflow.artifacts.download_artifacts(
                artifact_uri=source, tracking_uri=self.tracking_uri
            )
        except (MlflowException, OSError) as error:
            raise ModelError(
                f"The artifact of version {version.version} cannot be read: {error}.",
                where=str(source),
                data="Nothing was changed; lists published before stay.",
                remedy="Restore it from a backup, or promote another version than "
                f"{version.version}.",
            ) from error
        folder = Path(path) / "data" / ARTIFACT
        # Versions of earlier releases have no digest.
        if registered.tags.get(DIGEST, found := _digest(folder)) != found:
            raise ModelError(
                f"The artifact of version {version.version} is damaged: its files are not as they "
                "were registered.",
                where=str(source),
                data="Nothing was computed with it; lists published before stay.",
                remedy="Restore it from a backup, or promote another version than "
                f"{version.version}.",
            )
        return models.load(Family(version.family), folder)

    def alias(self, name: str) -> Version | None:
        """The version that the alias points at; None if there is none.

        Raises:
            ModelError: The registry does not answer; nothing is known of the alias.
        """
        return self._own(
            f"read alias {name}", lambda: self._models.get_model_version_by_alias(NAME, str(name))
        )

    def set_alias(self, name: str, number: str) -> None:
        """Point the alias at a version; call it only after the ledger has the entry.

        Raises:
            ModelError: There is no such version, or the registry does not answer.
        """
        self._change(
            f"move alias {name}",
            number,
            lambda: self._models.set_registered_model_alias(NAME, str(name), number),
        )

    def drop_alias(self, name: str) -> None:
        """Remove the alias; idempotent."""
        with _answering(f"drop alias {name}"):
            self._models.delete_registered_model_alias(NAME, str(name))

    def set_stage(self, number: str, stage: Stage, *, decision: str | None = None) -> None:
        """Tag a version with its stage, and with the id of the decision if it is given.

        Raises:
            ModelError: There is no such version, or the registry does not answer.
        """
        tags = {"stage": str(stage)} | ({} if decision is None else {"decision": decision})
        for name, value in tags.items():
            self._change(
                f"tag version {number}",
                number,
                partial(self._models.set_model_version_tag, NAME, number, name, value),
            )

    def describe_decision(
        self, number: str, *, sequence: int, decision_id: str, sentence: str
    ) -> None:
        """Put the newest decision about a version into its description; replaces the one before."""
        with _answering(f"describe version {number}"):
            description = self._models.get_model_version(NAME, number).description or ""
            name = f"Entry {sequence} of the ledger"
            link = f"[{name}]({self.console}/decisions/{decision_id})" if self.console else name
            text = f"{description.partition(DECIDED)[0]}{DECIDED}{link}: {sentence}"
            self._models.update_model_version(NAME, number, text)

    def pointers(self) -> Pointers:
        """All aliases and the last entry that was followed, read at once.

        Raises:
            ModelError: The registry does not answer; nothing is known of them.
        """
        with _answering("read its aliases"):
            found = self._registered()
        if found is None:
            return Pointers({}, None)
        noted = found.tags.get(FOLLOWED)
        aliases = {name: str(number) for name, number in found.aliases.items()}
        return Pointers(aliases, None if noted is None else int(noted))

    def followed(self) -> int | None:
        """Sequence number of the last ledger entry that aliases and stages follow."""
        return self.pointers().followed

    def note_followed(self, sequence: int) -> None:
        """Record that aliases and stages follow that entry of the ledger."""
        with _answering(f"note entry {sequence}"):
            self._models.set_registered_model_tag(NAME, FOLLOWED, str(sequence))

    def _described(self, found: Any) -> Version:
        return Version(
            version=str(found.version),
            family=found.tags["family"],
            as_of=date.fromisoformat(found.tags["as_of"]),
            data_fingerprint=found.tags["data_fingerprint"],
            stage=found.tags["stage"],
            run_id=found.run_id,
        )

    def ensure_experiment(self) -> str:
        """Number of the experiment, which is created, or restored if it was deleted in MLflow."""
        tags = experiment_tags(ABOUT_RUNS, COLUMNS, tags=("family", "as_of", "cause", "simulated"))
        return ensure_experiment(self._client, NAME, artifact_root=self.artifact_root, tags=tags)

    def _registered(self) -> Any:
        """The registered model; None if there is none.

        Found by a search, because MLflow reads every version of a model that is asked for by its
        name (mlflow 3.17, store/model_registry/dbmodels/models.py, `to_mlflow_entity`).
        """
        found = self._models.search_registered_models(f"name = '{NAME}'", max_results=1)
        return found[0] if found else None

    def _ensure_registered(self) -> None:
        if self._registered() is None:
            runs = view_of_runs(self.ensure_experiment())
            self._models.create_registered_model(
                NAME, description=f"{ABOUT_MODEL}\n\n[Runs with their metrics]({runs})"
            )

    def _log_curve(self, run_id: str, name: str, values: Sequence[float]) -> None:
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        points = [Metric(name, float(value), now, step) for step, value in enumerate(values)]
        log_points(self._client, run_id, points)

    def _log_figures(
        self, run_id: str, parameters: Mapping[str, object], metrics: Mapping[str, float]
    ) -> None:
        """Log parameters and metrics in one transaction."""
        from mlflow.entities import Metric, Param

        now = time.time_ns() // 1_000_000
        self._client.log_batch(
            run_id,
            metrics=[Metric(name, value, now, 0) for name, value in metrics.items()],
            params=[Param(name, str(value)) for name, value in parameters.items()],
        )


def _artifacts(uri: str) -> Any:
    """The store of artifacts at an address.

    MLflow's own client (3.17) keeps the store of a run by the run's id alone, whatever database it
    asks (`tracking/_tracking_service/client.py`, `_get_artifact_repo`): in a process that has seen
    a home and a copy of it, it writes the copy's artifacts into the original.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(uri)


def _log_documents(files: Any, documents: Mapping[str, Any], pictures: Mapping[str, Any]) -> None:
    """Log documents as JSON and matplotlib figures as PNG, under their names."""
    with tempfile.TemporaryDirectory() as folder:
        for name, document in documents.items():
            text = json.dumps(document, indent=2, default=str)
            (Path(folder) / f"{name}.json").write_text(text)
        for name, figure in pictures.items():
            figure.savefig(Path(folder) / f"{name}.png")
        files.log_artifacts(folder)


def _log_model(files: Any, model: "Recommender") -> tuple[set[str], str]:
    """Log the model's own files as an MLflow pyfunc, with a signature and without pickle.

    Returns:
        Paths of all files, relative to the folder of the model, and the digest of the model's
        own.
    """
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    from firstchair.promotion.loader import INPUTS

    inputs = Schema([ColSpec(kind, name) for name, kind in INPUTS.items()])
    outputs = Schema([ColSpec("string", name) for name in ("artist_ids", "scores")])
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / ARTIFACT)
        mlflow.pyfunc.save_model(
            f"{folder}/logged",
            loader_module="firstchair.promotion.loader",
            data_path=f"{folder}/{ARTIFACT}",
            signature=ModelSignature(inputs, outputs),
            pip_requirements=["firstchair"],
        )
        logged = Path(folder) / "logged"
        files.log_artifacts(str(logged), ARTIFACT)
        paths = {p.relative_to(logged).as_posix() for p in logged.rglob("*") if p.is_file()}
        return paths, _digest(Path(folder) / ARTIFACT)


def _files_under(files: Any, folder: str) -> Iterator[str]:
    """Paths of all files in a folder of a store of artifacts."""
    for found in files.list_artifacts(folder):
        if found.is_dir:
            yield from _files_under(files, found.path)
        else:
            yield found.path
