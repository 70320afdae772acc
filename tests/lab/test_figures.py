"""Charts and heat maps: what is drawn is what was measured."""

from __future__ import annotations

import math

import numpy as np
import pytest

from semagram.lab.figures import Line, Strip, compact, line_chart, strip_chart, thinned, ticks
from semagram.lab.heatmap import Passage, character_bits, difference, heat, visible
from semagram.lab.pareto import Dot, front, log_ticks, pareto_chart


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (1.47, 4.3), (0, 1_003_854), (2.0, 2.0), (0.0, 0.0), (-3, 7), (1e-9, 2e-9)]
)
def test_ticks_reach_over_everything(low, high):
    found = ticks(low, high)
    assert found[0] <= low + 1e-12 and found[-1] >= high - 1e-12 and 2 <= len(found) <= 9
    assert len(set(np.diff(found).round(12))) <= 2


def test_compact_numbers():
    assert [compact(x) for x in (0.25, 20_000, 1.5e6, 3e9, 0)] == ["0.25", "20k", "1.5M", "3G", "0"]


def test_thinning_keeps_the_end_and_the_mean():
    points = [(float(x), float(x % 2)) for x in range(1000)]
    found = thinned(points, 100)
    assert len(found) == 100 and found[-1][0] == 999 and all(y == 0.5 for _, y in found)


def test_a_chart_of_nothing_is_nothing():
    assert line_chart([Line("a", [], 0)], "x", "y") == "" and strip_chart([], "x") == ""


def test_names_are_escaped():
    assert "<b>" not in line_chart([Line("<b>", [(1, 2)], 0)], "<b>", "y&")
    assert "<b>" not in strip_chart([Strip("<b>", [1.0], 0, 1.0)], "x")


def test_the_front_is_those_that_nobody_beats():
    random = np.random.default_rng(0)
    dots = [Dot(str(n), float(x), float(y), 0) for n, (x, y) in enumerate(random.integers(1, 9, (40, 2)))]
    found = front(dots)

    def beaten(dot):
        others = [o for o in dots if (o.cost, o.score) != (dot.cost, dot.score)]
        return any(o.cost <= dot.cost and o.score <= dot.score for o in others)

    assert {(d.cost, d.score) for d in found} == {(d.cost, d.score) for d in dots if not beaten(d)}
    assert [d.cost for d in found] == sorted(d.cost for d in found)


def test_a_figure_of_costs():
    chart = pareto_chart([Dot("<a>", 1, 2.0, 0), Dot("b", 300, 1.5, 1), Dot("c", 400, 1.9, 2)], "s", "bits")
    assert chart.count("<circle") == 3 and "<a>" not in chart and "on the front: &lt;a&gt;, b" in chart
    assert pareto_chart([Dot("a", 1, 2.0, 0), Dot("free", 0, 1.0, 1)], "s", "bits") == ""
    crowd = pareto_chart([Dot("the same place", 1, 2.0, 0)] * 9, "s", "bits")
    assert crowd.count("<circle") == 9 and crowd.count('class="name"') < 9  # labels never cover one another


@pytest.mark.parametrize(("low", "high"), [(1, 1), (0.3, 0.9), (1, 100), (3, 2e9), (99, 101)])
def test_logarithmic_ticks_reach_over_everything(low, high):
    found = log_ticks(low, high)
    assert found[0] < low and found[-1] > high and found == sorted(found) and 2 <= len(found) <= 13


def test_a_span_is_a_token_and_joins_the_pieces_of_a_character():
    # Bytes of "né!" : n, two bytes of é, !; and "ab" as one token.
    text, nats, lengths = "né!ab", np.array([1.0, 2.0, 3.0, 0.5, 4.0]) * math.log(2), np.array([1, 1, 0, 1, 2])
    cells = heat(text, nats, lengths, Passage(0, 5))
    assert [c.text for c in cells] == ["n", "é", "!", "ab"]
    assert [c.told.split("  ")[1].split(" ")[0] for c in cells] == ["1.00", "5.00", "0.50", "4.00"]
    assert cells[1].told.endswith("probability 0.031")
    assert [c.style for c in cells] == ["h1", "h6", "h0", "h2"]
    assert character_bits(nats, lengths, Passage(0, 5)).tolist() == pytest.approx([1, 5, 0.5, 2, 2])
    assert character_bits(nats, lengths, Passage(4, 5)).tolist() == pytest.approx([2])


def test_a_difference_map_says_who_paid_less():
    cells = difference("ab\n", Passage(0, 3), ("A", np.array([1.0, 5.0, 1.0])), ("B", np.array([1.0, 1.0, 9.0])))
    assert [c.style for c in cells] == ["d4", "d0", "d8 nl"]
    assert cells[1].told == "b  A 5.00 bits, B 1.00 bits"


def test_a_passage_is_inside_and_begins_at_a_line():
    text = "one line\n" * 1000
    found = Passage.of(text, 500)
    assert found.end - found.begin == 500 and text[found.begin - 1] == "\n"
    assert Passage.of("short") == Passage(0, 5)
    assert Passage.of("\n" * 5000).end <= 5000


def test_control_characters_are_shown():
    assert visible("a\x00\x1b\x7f\tb\n") == "a␀␛␡\tb\n"
