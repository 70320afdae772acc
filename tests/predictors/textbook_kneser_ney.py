"""Modified Kneser-Ney as the formula reads, on dictionaries of tuples: slow and obvious, the oracle of the tests."""

from collections import Counter


class Textbook:
    """Fitted on pieces of text (nothing is counted across their borders)."""

    def __init__(self, pieces: list[list[int]], v: int, order: int) -> None:
        self.v, self.order = v, order
        self.counts: dict[tuple[int, ...], int] = {}
        for size in range(1, order + 2):
            occurrences: Counter[tuple[int, ...]] = Counter()
            neighbours: dict[tuple[int, ...], set[int | str]] = {}
            for piece in pieces:
                for s in range(len(piece) - size + 1):
                    gram = tuple(piece[s : s + size])
                    occurrences[gram] += 1
                    neighbours.setdefault(gram, set()).add(piece[s - 1] if s else "begin")
            longest = size == order + 1
            self.counts |= dict(occurrences) if longest else {g: len(left) for g, left in neighbours.items()}

    def discount(self, size: int, count: int) -> float:
        n = [sum(c == j for g, c in self.counts.items() if len(g) == size) for j in range(5)]
        j = min(count, 3)
        if not (n[1] and n[2] and n[j] and n[j + 1]):
            return {1: 0.5, 2: 0.75, 3: 0.9}[j]
        y = n[1] / (n[1] + 2 * n[2])
        return min(max(j - (j + 1) * y * n[j + 1] / n[j], 0.1), j)

    def p(self, w: int, context: tuple[int, ...]) -> float:
        context = context[-self.order :] if self.order else ()
        shorter = self.p(w, context[1:]) if context else 1 / self.v
        following = {x: self.counts[(*context, x)] for x in range(self.v) if (*context, x) in self.counts}
        if not following:
            return shorter
        total, size = sum(following.values()), len(context) + 1
        given = sum(self.discount(size, c) for c in following.values())
        own = following[w] - self.discount(size, following[w]) if w in following else 0.0
        return own / total + given / total * shorter
