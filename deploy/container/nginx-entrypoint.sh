#!/bin/sh
# Entrypoint of an nginx container beside a headgate node (`node.nginx.start = "external"`).
#
# Both containers share the pid and the network namespace and mount this folder at the same path.
# Where the image has headgate too, the guard makes sure that only a verified release is started.
set -eu
root=${HEADGATE_NGINX:-/var/lib/headgate/default/nginx}

if command -v headgate >/dev/null 2>&1 && [ -e "$root/current" ]; then
    headgate nginx guard --root "$root"
fi

# The node asks a running nginx what it can before it renders: until there is a release, this one
# serves nothing but the question which generation it is.
if [ ! -e "$root/current/nginx.conf" ]; then
    mkdir -p "$root/run" "$root/logs" "$root/bootstrap"
    cat >"$root/bootstrap/nginx.conf" <<EOF
pid $root/run/nginx.pid;
error_log $root/logs/error.log;
events {}
http {
    access_log off;
    server {
        listen unix:$root/run/status.sock;
        location = /generation { return 200 "0\n\$pid\n"; }
    }
}
EOF
    ln -sfn bootstrap "$root/current"
fi

exec nginx -c "$root/current/nginx.conf" -p "$root/current/" -e "$root/logs/error.log" \
    -g 'daemon off;'
