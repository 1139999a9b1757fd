"""The address of a master: what it means, and what is wrong with one."""

import pytest

from headgate.kernel.errors import Invalid
from headgate.node.agent.url import MasterUrl, master_url


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("grpcs://m.example", MasterUrl("grpcs", "m.example", 8080, 8443)),
        ("https://m.example", MasterUrl("https", "m.example", 8080, 8443)),
        ("wss://m.example:9000", MasterUrl("wss", "m.example", 9000, 8443)),
        ("https://m.example:9000/", MasterUrl("https", "m.example", 9000, 8443)),
        ("grpcs://[::1]:9443?rest=9080", MasterUrl("grpcs", "::1", 9080, 9443)),
        ("https://bücher.example", MasterUrl("https", "bücher.example", 8080, 8443)),
        ("https://my_master.example.", MasterUrl("https", "my_master.example.", 8080, 8443)),
        ("https://127.0.0.1:9080?grpc=9443", MasterUrl("https", "127.0.0.1", 9080, 9443)),
    ],
)
def test_an_address_names_both_ports(text: str, means: MasterUrl) -> None:
    assert master_url(text) == means
    assert master_url(str(means)) == means


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("http://m.example", "without TLS"),
        ("ws://m.example", "without TLS"),
        ("grpc://m.example", 'write "grpcs://'),
        ("m.example:8443", "is not an address of a master"),
        ("ftp://m.example", "is not an address of a master"),
        ("https://", "names no host"),
        ("https://master..example", '"master..example" is not a host'),
        (f"https://{'m' * 64}.example", "is not a host"),
        ("https://-m.example", "is not a host"),
        ("https://a b.example", "is not a host"),
        ("https://m.example:99999", "is not an address"),
        ("https://user@m.example", "more than a host"),
        ("https://m.example/api", "more than a host"),
        ("https://m.example?rest=1", "a query that is no port"),
        ("https://m.example?grpc=0", "a query that is no port"),
        ("https://m.example?grpc=x", "a query that is no port"),
    ],
)
def test_a_wrong_address_says_what_to_write(text: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        master_url(text)
