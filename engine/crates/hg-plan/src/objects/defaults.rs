//! Default values that serde asks for by name.

macro_rules! defaults {
    ($($name:ident: $t:ty = $v:expr;)*) => { $(pub(super) fn $name() -> $t { $v })* };
}

defaults! {
    yes: bool = true;
    one: u32 = 1;
    backlog: u32 = 4096;
    head_bytes: u32 = 32 * 1024;
    header_count: u32 = 100;
    keepalive_requests: u64 = 0;
    ms_3000: u64 = 3_000;
    ms_5000: u64 = 5_000;
    ms_10000: u64 = 10_000;
    ms_30000: u64 = 30_000;
    ms_60000: u64 = 60_000;
    ms_300000: u64 = 300_000;
    ms_3600000: u64 = 3_600_000;
    max_idle: u32 = 512;
    max_connections: u32 = 20_000;
    flows: u32 = 16_384;
    queue: u32 = 1024;
    share_all: u16 = 10_000;
    kib_64: u64 = 64 * 1024;
    bits_64: u8 = 64;
    keys_131072: u32 = 131_072;
    mirrored: u32 = 64;
    root_path: String = "/".to_owned();
}
