"""The file of orders."""

from pathlib import Path

import pytest

from headgate.engines.nginx.checks.orders import FILE, KeptOrders


def test_orders_are_read_as_they_were_written(tmp_path: Path) -> None:
    kept = KeptOrders(tmp_path)
    assert kept.read() == {}
    orders = {("app", "127.0.0.1:1"): "drain", ("b", "unix:/x"): "maintenance"}
    kept.write(orders)
    assert KeptOrders(tmp_path).read() == orders
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("text", ["{", '[{"upstream": "a", "endpoint": "b", "state": "ready"}]'])
def test_a_damaged_file_is_no_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(OSError, match=FILE):
        KeptOrders(tmp_path).read()
