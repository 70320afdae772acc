"""Cross-fitting: what an n-gram model would have said of its own training text without having read it.

A model that has counted a text predicts that text far too well, and whatever is trained beside its predictions (a
network with an n-gram prior, an ensemble's weights) would learn to trust it too much. So every block of the
text is predicted from the counts of the others: k-fold cross-fitting, as in stacking (Wolpert 1992). The grams
are indexed once; of each block only the counts are taken away. Tested against fitting the remaining text anew.
"""

from __future__ import annotations

import numpy as np

from semagram.errors import UserError
from semagram.predictors.gram_trie import GramTrie
from semagram.predictors.kneser_ney import KneserNey, left_neighbours, occurrences


def cross_fitted_log_probs(
    ids: np.ndarray, vocabulary_size: int, order: int = 6, folds: int = 10, dtype: type = np.float32
) -> np.ndarray:
    """What the model would have said of a training text without having read it: ``(n,)`` -> ``(n, v)``.

    The text is cut in ``folds`` contiguous blocks; the rows of a block come from counts of all other blocks,
    with which no gram that touches the block has anything to do. A network trained beside these rows learns to
    trust them as far as they deserve on new text. ``dtype`` float16 halves the memory (2 n v bytes).
    Raises ``UserError`` unless 2 <= folds <= n.
    """
    if order < 0:
        raise UserError(f"order must be at least 0, got {order}.")
    if not 2 <= folds <= np.size(ids):
        raise UserError(f"folds must be between 2 and the number of tokens ({np.size(ids)}), got {folds}.")
    trie, places = GramTrie.build(ids, vocabulary_size, order + 1)
    full, n = occurrences(trie, places), places[1].size
    # The longest context of every place: order symbols, fewer at the beginning of the text.
    beginning = min(order, n)
    context = np.concatenate([[p[0] for p in places[:beginning]], places[order][: n - beginning]]).astype(np.int64)
    result = np.empty((n, vocabulary_size), dtype=dtype)
    for fold in range(folds):
        begin, end = fold * n // folds, (fold + 1) * n // folds
        # places[k][s] is the k-gram that starts at s: those that start before `end` and end at or after `begin`
        # touch the block.
        touching = places[-1][max(begin - order, 0) : end] - trie.levels[trie.longest]
        kept = full - np.bincount(touching, minlength=full.size)
        openings = [np.concatenate([p[: max(begin - k + 1, 0)][:1], p[end:][:1]]) for k, p in enumerate(places)]
        model = KneserNey(trie, left_neighbours(trie, kept, openings))
        result[begin:end] = model.rows_after(context[begin:end], dtype)
    return result
