//! The same limit for connections of which no byte is read for its meaning: those of a TCP route.

use super::{Bandwidth, DOWNLOAD, Options, REQUEST, UPLOAD};
use crate::context::{Context, Place};
use crate::pace::{Pace, Paces};
use crate::step::Step;
use crate::view::{Client, RequestView};
use hg_plan::{BandwidthKey, TcpBandwidth};
use hg_route::NoHeaders;
use std::net::IpAddr;

/// A limit of the bytes of connections, compiled.
#[derive(Clone, Debug)]
pub struct ConnectionBandwidth(Bandwidth);

impl ConnectionBandwidth {
    /// The kind of its place.
    pub const KIND: &str = "bandwidth";

    /// Compiles the limit of a route, which counts where the place says.
    ///
    /// # Errors
    /// Path and message of everything that is wrong.
    pub fn compile(plan: &TcpBandwidth, place: &Place<'_>) -> Result<Self, Vec<(String, String)>> {
        let key = match plan.key {
            BandwidthKey::Connection => vec![REQUEST.to_owned()],
            BandwidthKey::ClientIp => vec!["client_ip".to_owned()],
            BandwidthKey::All => Vec::new(),
        };
        let options = Options {
            download: plan.download,
            download_burst: plan.download_burst,
            upload: plan.upload,
            upload_burst: plan.upload_burst,
            key,
            max_keys: plan.max_keys,
            ipv6_prefix: plan.ipv6_prefix,
        };
        let mut problems = Vec::new();
        match Bandwidth::compile(&options, &mut problems) {
            Some(mut compiled) => {
                compiled.bind(place);
                Ok(Self(compiled))
            }
            None => Err(problems),
        }
    }

    /// Returns how quickly the bytes of a connection pass.
    pub fn paces(&self, client: IpAddr, cx: &mut Context<'_>) -> Paces {
        let view = RequestView {
            method: "",
            scheme: "",
            protocol: "",
            host: "",
            port: None,
            path: "",
            query: None,
            client: Client::of(client),
            request_id: "",
            listener: "",
            route: "",
            upstream: "",
            endpoint: "",
            prefix_len: 0,
            headers: &NoHeaders,
        };
        let mut pace = |direction| {
            let limit = self.0.limit(direction, &view, cx)?;
            let mut pace = Box::<Pace>::default();
            pace.join(limit, cx.now_us, false);
            Some(pace)
        };
        Paces { download: pace(DOWNLOAD), upload: pace(UPLOAD) }
    }
}
