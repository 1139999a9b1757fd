"""The questions: each name once, each in a config that nothing of another can get into."""

from collections import Counter

import pytest

from headgate.engines.nginx.capabilities.snippets import SNIPPETS, Snippet, config

ASKED_FOR = """
resolve sticky least_time random_two hash_consistent ip_hash max_conns zone keepalive
auth_request mirror split_clients limit_req limit_conn stub_status ssl_reject_handshake
max_headers http2_directive http2_listen quic keepalive_min_timeout add_header_inherit
worker_shutdown_timeout stream stream_ssl_preread realip gzip brotli headers_more lua_balancer
njs gunzip slice dav grpc ssl ssl_conf_command ssl_ecdh_x25519mlkem768 proxy_ssl_server_name
log_escape_json pcre_jit pcre_no_jit reuseport so_keepalive fastopen modsecurity geoip2 http_v2
"""


def test_each_name_is_asked_once() -> None:
    assert [name for name, times in Counter(s.name for s in SNIPPETS).items() if times > 1] == []


def test_everything_that_others_rely_on_is_asked() -> None:
    assert set(ASKED_FOR.split()) <= {snippet.name for snippet in SNIPPETS}


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.name)
def test_a_question_is_in_its_config_once_and_the_braces_close(snippet: Snippet) -> None:
    text = config(snippet, ("/m/a.so",), ("proxy_temp_path",))
    assert text.count(snippet.text) == 1
    assert text.count("{") == text.count("}")
    assert text.startswith("load_module /m/a.so;\n")
    assert "proxy_temp_path {folder}/proxy_temp_path;" in text
    assert snippet.text.isascii()


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.name)
def test_a_question_for_layer_4_says_which_module_it_may_need(snippet: Snippet) -> None:
    assert snippet.context.startswith("stream") == ("stream" in snippet.modules)
