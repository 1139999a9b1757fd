#!/bin/sh
# Installs headgate as an agent of a master on this host: the program in an environment of its own,
# its settings, and a systemd unit. Run it again to install another version; settings are kept.
set -eu

usage() {
    cat <<EOF
Usage: HEADGATE_MASTER_URL=https://HOST HEADGATE_AGENT_TOKEN=TOKEN install.sh [OPTIONS] WHEEL

  WHEEL            the file headgate-*.whl
  --engine NAME    native, or nginx to watch the nginx of this host and change nothing of it
                   (without it: nginx if there is one)
  --root DIR       install below DIR and start nothing, for images
  --python PATH    Python 3.11 or later (without it: python3)

The address and the join token are kept in /etc/headgate/agent.env, which root alone reads.
EOF
}

fail() {
    echo "install: $1" >&2
    exit "${2:-1}"
}

wheel='' engine='' root='' python=python3
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage && exit 0 ;;
        --engine | --root | --python)
            [ $# -gt 1 ] || fail "$1 takes a value; see --help" 2
            case $1 in
                --engine) engine=$2 ;;
                --root) root=${2%/} ;;
                *) python=$2 ;;
            esac
            shift 2
            ;;
        -*) fail "unknown option $1; see --help" 2 ;;
        *)
            [ -z "$wheel" ] || fail "$1: there is a wheel already; name one" 2
            wheel=$1
            shift
            ;;
    esac
done

[ -n "$wheel" ] || fail 'no wheel is named; write the path of headgate-*.whl' 2
[ -f "$wheel" ] || fail "$wheel is not a file; write the path of headgate-*.whl" 2
[ -n "$root" ] || [ "$(id -u)" = 0 ] || fail 'this takes root; run it with sudo, or give --root'
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$python is not Python 3.11 or later; name one with --python"
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
program=$root/opt/headgate
settings=$root/etc/headgate
units=$root/etc/systemd/system

if [ -z "$engine" ]; then
    engine=native
    if PATH=$PATH:/usr/sbin:/usr/local/sbin command -v nginx >/dev/null; then engine=nginx; fi
fi
case $engine in
    native | nginx) ;;
    *) fail "$engine is not an engine; write native or nginx" 2 ;;
esac

# What was given before is kept: a token is good for one enrolment, and needed for no other start.
if [ ! -f "$settings/agent.env" ]; then
    [ -n "${HEADGATE_MASTER_URL:-}" ] || fail 'set HEADGATE_MASTER_URL, such as https://HOST' 2
    [ -n "${HEADGATE_AGENT_TOKEN:-}" ] || fail 'set HEADGATE_AGENT_TOKEN to a join token' 2
fi

if command -v uv >/dev/null; then
    [ -x "$program/bin/python" ] || uv venv --quiet --python "$python" "$program"
    uv pip install --quiet --python "$program/bin/python" --reinstall-package headgate "$wheel"
else
    [ -x "$program/bin/python" ] || "$python" -m venv "$program" ||
        fail "$python has no venv; install it (Debian: apt install python3-venv)"
    "$program/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "$wheel"
    # The same version again: pip would keep what is there.
    "$program/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
        --force-reinstall "$wheel"
fi

install -d "$settings" "$units"
if [ -n "${HEADGATE_MASTER_URL:-}" ] && [ -n "${HEADGATE_AGENT_TOKEN:-}" ]; then
    # The file is never readable by others, and never half written.
    (
        umask 077
        printf 'HEADGATE_MASTER_URL=%s\nHEADGATE_AGENT_TOKEN=%s\n' \
            "$HEADGATE_MASTER_URL" "$HEADGATE_AGENT_TOKEN" >"$settings/agent.env.new"
    )
    mv "$settings/agent.env.new" "$settings/agent.env"
fi
chmod 600 "$settings/agent.env"

if [ ! -f "$settings/node.toml" ]; then
    if [ "$engine" = nginx ]; then
        printf '[node]\nengine = "nginx"\n\n[node.nginx]\nmode = "observe"\nstart = "external"\n'
    else
        printf '[node]\nengine = "native"\n'
    fi >"$settings/node.toml"
fi

install -m 644 "$here/systemd/headgate-agent.service" "$units/headgate-agent.service"
if [ "$engine" = nginx ] && getent group adm >/dev/null; then
    install -D -m 644 "$here/systemd/headgate-agent.service.d/nginx.conf" \
        "$units/headgate-agent.service.d/nginx.conf"
fi
install -D -m 644 "$here/systemd/headgate.sysusers" "$root/etc/sysusers.d/headgate.conf"

if [ -n "$root" ] || [ ! -d /run/systemd/system ]; then
    echo "install: installed; nothing was started: systemd does not run here"
    exit 0
fi
systemd-sysusers
systemctl daemon-reload
systemctl enable --quiet headgate-agent
systemctl restart headgate-agent
echo "install: the agent runs; see its state with: $program/bin/headgate status"
