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
  --node NAME      one more agent on this host, with settings, state and a unit of its own; one
                   agent drives several nginx, too ([node.instances.NAME] in its settings)
  --nginx-conf FILE
                   the nginx.conf of the nginx to watch, where several run on this host
  --upgrades       let the master upgrade this agent, from wheels in /var/lib/headgate-wheels: a
                   service of systemd installs them, so that the agent gets no rights
  --root DIR       install below DIR and start nothing, for images
  --python PATH    Python 3.11 or later (without it: python3)

The address and the join token are kept in /etc/headgate/agent.env (with --node: NAME.env), which
root alone reads.
EOF
}

fail() {
    echo "install: $1" >&2
    exit "${2:-1}"
}

wheel='' engine='' root='' python=python3 node='' conf='' upgrades=''
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage && exit 0 ;;
        --engine | --root | --python | --node | --nginx-conf)
            [ $# -gt 1 ] || fail "$1 takes a value; see --help" 2
            case $1 in
                --engine) engine=$2 ;;
                --root) root=${2%/} ;;
                --node) node=$2 ;;
                --nginx-conf) conf=$2 ;;
                *) python=$2 ;;
            esac
            shift 2
            ;;
        --upgrades) upgrades=yes && shift ;;
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

[ -z "$conf" ] || [ "$engine" = nginx ] || fail '--nginx-conf is for --engine nginx' 2
case $conf in
    '' | /*) ;;
    *) fail "$conf is not an absolute path; write one for --nginx-conf" 2 ;;
esac
case $conf in
    *[\"\\]*) fail "$conf has a quote or a backslash; --nginx-conf takes neither" 2 ;;
esac
[ -z "$upgrades" ] || [ -z "$node" ] ||
    fail '--upgrades is for the agent without --node, whose program the others share' 2
case $node in
    agent | default | node) fail "$node is taken by the agent without --node; choose another name" 2 ;;
    [!a-z0-9_-]* | *[!a-z0-9._-]*) fail "$node is not a node name; use a-z 0-9 . _ -" 2 ;;
esac
variables=$settings/${node:-agent}.env
own=$settings/${node:-node}.toml
unit=headgate-agent${node:+@$node}
template=headgate-agent${node:+@}

# What was given before is kept: a token is good for one enrolment, and needed for no other start.
if [ ! -f "$variables" ]; then
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
            "$HEADGATE_MASTER_URL" "$HEADGATE_AGENT_TOKEN" >"$variables.new"
    )
    mv "$variables.new" "$variables"
fi
chmod 600 "$variables"

if [ ! -f "$own" ]; then
    {
        printf '[node]\nengine = "%s"\n' "$engine"
        # One loopback port for health and metrics cannot be that of several nodes.
        [ -z "$node" ] || echo 'admin = "off"'
        if [ "$engine" = nginx ]; then
            printf '\n[node.nginx]\nmode = "observe"\nstart = "external"\n'
            [ -z "$conf" ] || printf 'conf = "%s"\n' "$conf"
        fi
    } >"$own"
fi

# The unit of a named node is the same one, as a template of systemd.
if [ -n "$node" ]; then
    sed -e 's|/agent\.env|/%i.env|' -e 's|/node\.toml|/%i.toml|' \
        -e 's|/headgate agent|& --node %i|' -e 's|/headgate reload|& --node %i|' \
        "$here/systemd/headgate-agent.service" >"$units/$template.service"
    chmod 644 "$units/$template.service"
else
    install -m 644 "$here/systemd/headgate-agent.service" "$units/$template.service"
fi
if [ "$engine" = nginx ] && getent group adm >/dev/null; then
    install -D -m 644 "$here/systemd/headgate-agent.service.d/nginx.conf" \
        "$units/$unit.service.d/nginx.conf"
fi
if [ -n "$upgrades" ]; then
    for one in request-upgrade carry-out-upgrade; do
        install -D -m 755 "$here/upgrade/$one" "$root/usr/local/lib/headgate/$one"
    done
    # Root's alone, as is the program: what is in there runs as the agent later.
    install -d -m 755 "$root/var/lib/headgate-wheels"
    install -m 644 "$wheel" "$root/var/lib/headgate-wheels/"
    install -m 644 "$here/systemd/headgate-upgrade.service" "$here/systemd/headgate-upgrade.path" \
        "$units/"
    install -D -m 644 "$here/systemd/headgate-agent.service.d/upgrade.conf" \
        "$units/$unit.service.d/upgrade.conf"
fi
install -D -m 644 "$here/systemd/headgate.sysusers" "$root/etc/sysusers.d/headgate.conf"

if [ -n "$root" ] || [ ! -d /run/systemd/system ]; then
    echo "install: installed; nothing was started: systemd does not run here"
    exit 0
fi
systemd-sysusers
systemctl daemon-reload
[ -z "$upgrades" ] || systemctl enable --quiet --now headgate-upgrade.path
systemctl enable --quiet "$unit"
systemctl restart "$unit"
echo "install: the agent runs; see its state with: $program/bin/headgate status${node:+ --node $node}"
