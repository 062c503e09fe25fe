"""Content: genres and era of the artists a user likes; it can list artists without plays."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from firstchair.definitions.families import Family
from firstchair.models.bases import Arrays, PersonalModel, csr_arrays, csr_of
from firstchair.models.diversity import genre_names
from firstchair.models.explanations import blank, strongest_in_rows
from firstchair.models.folding import Parts
from firstchair.models.known import explained_known
from firstchair.models.protocol import Explanations, Lists, Rows, TrainingData
from firstchair.models.selection import Floats, columns_for, narrow, own_columns, spread

ERA = "era:"
ERA_YEARS = 10
# Weight of an era relative to a genre.
ERA_WEIGHT = 0.3


class Content(PersonalModel):
    """Cosine between the user's mean artist and each artist, by TF-IDF of genres and decade, 0..1.

    idf = ln((1 + n) / (1 + df)) + 1, rows of length 1 (Salton and Buckley 1988, with the smoothing
    that scikit-learn documents). A user of whom nothing is known gets what is trending.
    """

    family = Family.CONTENT

    def __init__(self) -> None:
        super().__init__()
        self.terms: npt.NDArray[np.str_] = np.array([], dtype=str)
        self.vectors: sparse.csr_matrix = sparse.csr_matrix(np.zeros((0, 0), dtype=np.float32))

    def learn(self, data: TrainingData, *, seed: int) -> Arrays:
        """Compute the TF-IDF vectors of the catalogue; `seed` changes nothing."""
        described = [_terms(row.genres, row.first_active_on) for row in data.artists.itertuples()]
        terms = np.array(sorted({term for named in described for term in named}), dtype=str)
        place = {term: number for number, term in enumerate(terms)}
        row = [number for number, named in enumerate(described) for _ in named]
        column = [place[term] for named in described for term in named]
        shape = (len(described), len(terms))
        counts = sparse.csr_matrix(
            (np.ones(len(row), dtype=np.float32), (row, column)), shape=shape
        )
        frequency = np.bincount(column, minlength=len(terms))
        idf = np.log((1 + len(described)) / (1 + frequency)) + 1
        idf[np.char.startswith(terms, ERA)] *= ERA_WEIGHT
        vectors = _unit(sparse.csr_matrix(counts.multiply(idf), dtype=np.float32))
        return {
            "terms": terms,
            **csr_arrays(vectors),
        }

    def restore(self) -> None:
        """The terms, and each artist's vector of them as a row of a matrix."""
        self.terms = self.arrays["terms"]
        self.vectors = csr_of(self.arrays, (len(self.artist_ids), len(self.terms)))

    def score(self, data: TrainingData, rows: Rows) -> Floats:
        """float32 (len(rows), artists of `data`), 0..1; 0 for users of whom nothing is known."""
        columns = columns_for(data, self.artist_ids)
        cosine = (self._tastes(data, columns, rows) @ self.vectors.T).toarray()
        return spread(np.clip(cosine, 0, 1).astype(np.float32), columns, len(data.artist_ids))

    def informed(self, data: TrainingData, rows: Rows) -> npt.NDArray[np.bool_]:
        """Users with a positive interaction with an artist of which it knows a genre or an era."""
        tastes = self._tastes(data, columns_for(data, self.artist_ids), rows)
        return np.asarray(tastes.getnnz(axis=1) > 0)

    def _tastes(
        self, data: TrainingData, columns: npt.NDArray[np.int64], rows: Rows
    ) -> sparse.csr_matrix:
        """Confidence-weighted mean vector of each user, of length 1."""
        liked = narrow(data.confidence[rows], columns)
        return _unit(sparse.csr_matrix(liked.multiply(liked > 0) @ self.vectors))

    def explain(self, data: TrainingData, rows: Rows, lists: Lists) -> Explanations:
        """The genres that add most to each item's cosine."""
        found = blank(lists.artists.shape, [term.removeprefix(ERA) for term in self.terms])
        own = own_columns(data, self.artist_ids)
        tastes = self._tastes(data, columns_for(data, self.artist_ids), rows)
        known = np.flatnonzero(np.diff(tastes.indptr) > 0)
        # Items with a score of 0 are there because they are trending.
        out, slot = np.nonzero((own[lists.artists[known]] >= 0) & (lists.scores[known] != 0))
        listed = self.vectors[own[lists.artists[known]][out, slot]]
        user = np.repeat(out, np.diff(listed.indptr))
        listed.data = listed.data * tastes[known].toarray()[user, listed.indices]
        found.parts[known[out], slot], found.amounts[known[out], slot] = self._genres_first(listed)
        found.sentences[known[out], slot] = self._sentences(found.parts[known[out], slot])
        return explained_known(found, self.trending, data, rows, lists)

    def _genres_first(self, added: sparse.csr_matrix) -> tuple[Parts, Floats]:
        """The genres of each item that add most to its score; its era if no genre does."""
        parts, amounts = strongest_in_rows(added)
        is_era = np.append(np.char.startswith(self.terms, ERA), False)
        genres = added.copy()
        genres.data = np.where(is_era[genres.indices], 0, genres.data).astype(np.float32)
        named, their_amounts = strongest_in_rows(genres)
        has_genre = named[:, :1] >= 0
        return np.where(has_genre, named, parts), np.where(has_genre, their_amounts, amounts)

    def _sentences(self, parts: Parts) -> list[str]:
        names = [str(term) for term in self.terms]
        return [self._because([names[part] for part in row if part >= 0]) for row in parts.tolist()]

    def _because(self, terms: list[str]) -> str:
        if not terms:
            return "To widen your taste"
        if terms[0].startswith(ERA):
            return f"From the {terms[0].removeprefix(ERA)}s, like artists you play"
        return f"Matches your taste for {' and '.join(terms)}"

    def parameters(self) -> dict[str, float | int | str]:
        """Weight and width of an era."""
        return {"era_weight": ERA_WEIGHT, "era_years": ERA_YEARS}


def _terms(genres: object, first_active_on: object) -> list[str]:
    """Genres and decade of an artist, without repetition, in a fixed order."""
    named = genre_names(genres)
    year = getattr(first_active_on, "year", None)
    return [*named, f"{ERA}{year // ERA_YEARS * ERA_YEARS}"] if isinstance(year, int) else named


def _unit(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    return sparse.csr_matrix(sparse.diags(scale.astype(np.float32)) @ matrix, dtype=np.float32)
