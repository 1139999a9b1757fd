"""Lists the checks: one line each."""

from typing import Final

from headgate.engines.nginx.lint import (
    access,
    headers,
    injection,
    paths,
    regexes,
    servers,
    tls,
    upstreams,
)
from headgate.engines.nginx.lint.check import Check

_SLASH = "end both the location and `alias` with a slash, or neither"
_RAW = "use $request_uri, which stays encoded"
_INTERNAL = "choose from a `map` of known hosts, or make the location `internal`"
_REPEAT = "repeat them here, or put all of them into one included file"
_IF = "leave only `return` and `rewrite` in it; choose values with `map`"

CHECKS: Final[tuple[Check, ...]] = (
    Check("alias_traversal", "high", _SLASH, paths.alias_traversal),
    Check("http_splitting", "high", _RAW, injection.http_splitting),
    Check("ssrf", "high", _INTERNAL, injection.ssrf),
    Check("allow_without_deny", "high", "end the list with `deny all`", access.allow_without_deny),
    Check("duplicate_server_name", "high", "remove one of them", servers.duplicate_server_name),
    Check("missing_include", "high", "add the file, or remove the line", servers.missing_include),
    Check(
        "filesystem_root_exposure",
        "high",
        "serve a directory that holds nothing else",
        paths.filesystem_root_exposure,
    ),
    Check("regex_redos", "high", "let each turn begin with a fixed character", regexes.regex_redos),
    Check("weak_ssl_tls", "medium", "`ssl_protocols TLSv1.2 TLSv1.3`", tls.weak_ssl_tls),
    Check(
        "return_bypasses_allow_deny",
        "medium",
        "put `return` into a location of its own, or refuse by `geo` and `if`",
        access.return_bypasses_allow_deny,
    ),
    Check("if_is_evil", "medium", _IF, access.if_is_evil),
    Check("host_spoofing", "medium", "use $host", injection.host_spoofing),
    Check("valid_referers", "medium", "leave `none` out", injection.valid_referers),
    Check("add_header_redefinition", "medium", _REPEAT, headers.add_header_redefinition),
    Check("missing_resolver", "medium", "add `resolver`", upstreams.missing_resolver),
    Check(
        "resolver_external",
        "medium",
        "run a resolver on this host or network",
        upstreams.resolver_external,
    ),
    Check(
        "status_page_exposed",
        "medium",
        "`allow 127.0.0.1; deny all;`, or listen on a loopback address",
        access.status_page_exposed,
    ),
    Check(
        "error_log_off",
        "medium",
        "`error_log /dev/null crit;` turns the log off",
        access.error_log_off,
    ),
    Check(
        "worker_rlimit_nofile_vs_connections",
        "medium",
        "raise `worker_rlimit_nofile`, or lower `worker_connections`",
        servers.worker_rlimit_nofile_vs_connections,
    ),
    Check(
        "ssl_stapling_without_resolver",
        "medium",
        "add `resolver`",
        tls.ssl_stapling_without_resolver,
    ),
    Check(
        "proxy_pass_normalized",
        "low",
        "leave the path out and use `rewrite … break`",
        upstreams.proxy_pass_normalized,
    ),
    Check("hash_without_default", "low", "say what `default` is", upstreams.hash_without_default),
    Check("version_disclosure", "low", "`server_tokens off`", headers.version_disclosure),
    Check(
        "default_server_flag",
        "low",
        "mark one of them `default_server`",
        servers.default_server_flag,
    ),
    Check("unanchored_regex", "low", "begin with ^ or end with $", regexes.unanchored_regex),
    Check("hsts_header", "low", "`max-age=31536000`", headers.hsts_header),
    Check("add_header_multiline", "low", "one line", headers.add_header_multiline),
    Check(
        "low_keepalive_requests",
        "low",
        "leave nginx's 1000, or more",
        servers.low_keepalive_requests,
    ),
    Check(
        "try_files_is_evil_too",
        "low",
        "`open_file_cache`, or fewer files",
        paths.try_files_is_evil_too,
    ),
)
