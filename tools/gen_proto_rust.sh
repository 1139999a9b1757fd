#!/bin/sh
# Writes engine/crates/hg-dataplane/src/generated/ from proto/headgate/v1/plan.proto.
#   tools/gen_proto_rust.sh            write
#   tools/gen_proto_rust.sh --check    fail when what is committed differs
# Needs the virtual environment (grpcio-tools has the protobuf compiler) and cargo.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target/gen-proto-rust}
committed=engine/crates/hg-dataplane/src/generated

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/out"
.venv/bin/python -m grpc_tools.protoc --proto_path=proto --include_imports \
    --descriptor_set_out="$work/plan.bin" proto/headgate/v1/plan.proto
cargo run --quiet --locked --manifest-path tools/gen_proto_rust/Cargo.toml \
    --target-dir "$target" -- "$work/plan.bin" "$work/out"

if [ "${1:-}" = --check ]; then
    diff -ru "$committed" "$work/out" || {
        echo "$committed is not in step with proto/: run tools/gen_proto_rust.sh" >&2
        exit 1
    }
else
    mkdir -p "$committed"
    cp "$work"/out/* "$committed"/
fi
