import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.report.chart import HEIGHT, WIDTH, Scale, Series, line_chart, linear_ticks, stacked_chart


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_round_and_inside(low, width):
    ticks = linear_ticks(low, low + width)
    assert 2 <= len(ticks) <= 11
    assert all(low - width * 1e-6 <= tick <= low + width * (1 + 1e-6) for tick in ticks)


def test_logarithmic_scales_are_even_per_decade():
    scale = Scale(1, 100, 0, 200, logarithmic=True)
    assert [scale(1), scale(10), scale(100)] == pytest.approx([0, 100, 200])
    assert scale.ticks() == pytest.approx([1, 2, 5, 10, 20, 50, 100])


points = st.lists(st.tuples(st.floats(0, 1e6), st.none() | st.floats(0, 1e9)), min_size=1, max_size=30).map(
    lambda pairs: sorted(pairs, key=lambda pair: pair[0])
)


@given(points, st.booleans())
def test_lines_stay_inside_the_picture(pairs, stepped):
    chart = line_chart([Series("a", pairs, stepped=stepped)], x_label="s", y_label="ms")
    path = re.search(r' d="([^"]*)"', chart)
    numbers = [float(text) for text in re.findall(r"[\d.]+", path[1])] if path else []
    assert all(0 <= number <= max(WIDTH, HEIGHT) for number in numbers)
    assert "nan" not in chart.lower().replace("nan-", "")


def test_a_gap_breaks_the_line():
    chart = line_chart([Series("a", [(0, 1), (1, None), (2, 1)])], x_label="s", y_label="ms")
    assert len(re.findall("M", re.search(r' d="([^"]*)"', chart)[1])) == 2


def test_bars_stand_on_each_other():
    chart = stacked_chart(
        [Series("a", [(0, 1.0)]), Series("b", [(0, 3.0)], 1)], x_label="s", y_label="n", bin_width=1
    )
    found = re.findall(r' y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', chart)
    (low, low_height), (high, high_height) = ((float(top), float(height)) for top, height in found)
    assert high + high_height == pytest.approx(low, abs=0.2)
    assert high_height == pytest.approx(3 * low_height, abs=0.5)


def test_names_cannot_break_out():
    chart = line_chart([Series("</script><b>", [(0, 1)])], x_label="<s>", y_label="&")
    assert "</script><b>" not in chart
    assert "<b>" not in chart.split("</script>")[1]
    assert ">&<" not in chart
