//! The types of the plan's objects. Field names are the canonical keys; times are whole
//! milliseconds where a name ends in `_ms` (0 = off), sizes are bytes where it ends in `_bytes`.

mod balance;
mod bytes_check;
mod defaults;
mod health;
mod http2;
mod kind;
mod limit_store;
mod listener;
mod middleware;
mod opaque;
mod otlp;
mod outlet;
mod retry;
mod route;
mod settings;
mod tcp_route;
mod tls;
mod tracing;
mod udp_route;
mod upstream;

pub use balance::*;
pub use bytes_check::*;
pub use health::*;
pub use http2::*;
pub use kind::Kind;
pub use limit_store::*;
pub use listener::*;
pub use middleware::*;
pub use otlp::*;
pub use outlet::*;
pub use retry::*;
pub use route::*;
pub use settings::*;
pub use tcp_route::*;
pub use tls::*;
pub use tracing::*;
pub use udp_route::*;
pub use upstream::*;
