"""What of `[node.nginx]` may change while the node runs."""

from dataclasses import replace

import pytest

from headgate.compile.settings import NginxSettings, ProbeSettings
from headgate.engines.nginx.drive.fixed import fixed_changes

NOW = NginxSettings()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"mode": "guest"}, "mode"),
        ({"start": "systemd"}, "start"),
        ({"conf": "/etc/nginx.conf"}, "conf"),
        ({"soak_s": 3.0}, "soak"),
        ({"debounce_s": 3.0}, "debounce"),
        ({"max_draining": 1}, "max_draining"),
        ({"reloads_per_minute": 1}, "reloads_per_minute"),
    ],
)
def test_what_an_engine_is_made_for_is_named_as_it_is_written(
    change: dict[str, object], key: str
) -> None:
    assert fixed_changes(NOW, replace(NOW, **change)) == (key,)  # type: ignore[arg-type]


def test_latency_buckets_may_change() -> None:
    assert fixed_changes(NOW, replace(NOW, latency_bounds_us=(1_000,))) == ()


def test_probes_and_drift_and_the_shutdown_timeout_may_change() -> None:
    probe = ProbeSettings("127.0.0.1:80", "a.example", "/", False, 200)
    later = replace(
        NOW, probes=(probe,), drift_policy="report", heal_after_s=1.0, shutdown_timeout_s=5.0
    )
    assert fixed_changes(NOW, later) == ()
