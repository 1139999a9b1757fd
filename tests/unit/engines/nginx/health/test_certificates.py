"""What a page says of the certificates of a watched nginx."""

from headgate.engines.nginx.health.figures import certificates
from headgate.engines.status import CertificateStatus

NOW = 1_800_000_000.0
DAY_S = 86_400.0


def test_the_days_until_each_certificate_ends_are_shown() -> None:
    found = [
        CertificateStatus("/etc/a.pem", ("a.example",), NOW + 12.5 * DAY_S),
        CertificateStatus("/etc/b.pem", ("b.example",), NOW - 2 * DAY_S, ("expired: …",)),
        CertificateStatus("/etc/none.pem", (), 0.0, ("unreadable: …",)),
    ]
    by_name = {
        one.name.removeprefix("headgate_nginx_certificate_"): {
            sample.labels["path"]: sample.value for sample in one.samples
        }
        for one in certificates(found, NOW)
    }
    assert by_name == {
        "not_after_timestamp_seconds": {
            "/etc/a.pem": NOW + 12.5 * DAY_S,
            "/etc/b.pem": NOW - 2 * DAY_S,
        },
        "expiry_days": {"/etc/a.pem": 12.5, "/etc/b.pem": -2},
        "problems": {"/etc/a.pem": 0, "/etc/b.pem": 1, "/etc/none.pem": 1},
    }
