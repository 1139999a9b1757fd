//! Builds the TLS towards servers that a node itself sends to.

use crate::build::Build;
use crate::certificate::{Certified, Problem};
use crate::client::ClientTls;
use crate::context::Outlet;
use hg_plan::{Certificate, Kind, OutletTls, Settings, UpstreamTls};
use std::sync::Arc;

/// The name of the settings object.
const SETTINGS: &str = "node";

impl<'a> Build<'a> {
    /// Reports whether the settings have TLS of their own, now or before.
    pub(crate) fn has_outlets(&self) -> bool {
        let now = self.settings().is_some_and(|settings| settings.outlets().next().is_some());
        now || self.previous.is_none_or(|before| !before.outlets.is_empty())
    }

    /// Compiles the TLS of the settings.
    pub(crate) fn outlets(&mut self) {
        self.next.outlets.clear();
        let Some(settings) = self.settings() else { return };
        for (path, tls) in settings.outlets() {
            match self.outlet(path, tls) {
                Ok(outlet) => {
                    self.next.outlets.insert(path, outlet);
                }
                Err(problems) => {
                    let at = |(key, message)| (format!("{path}.tls.{key}"), message);
                    self.refuse(Kind::Settings, &SETTINGS.into(), problems.into_iter().map(at));
                }
            }
        }
    }

    fn outlet(&self, path: &'static str, tls: &OutletTls) -> Result<Outlet, Vec<Problem>> {
        let certificate = match (&tls.cert, &tls.key) {
            (Some(cert), Some(key)) => {
                let object = Certificate { cert: cert.clone(), key: key.clone(), ocsp: None };
                let name: Arc<str> = format!("node.{path}").into();
                Some(Arc::new(Certified::load(&name, &object, self.blobs, &self.provider)?))
            }
            (None, None) => None,
            _ => return Err(vec![("cert".into(), "a certificate and its key go together".into())]),
        };
        let object = UpstreamTls {
            verify: true,
            verify_name: tls.verify_name.clone(),
            sni: true,
            ca: tls.ca.clone(),
            client_certificate: None,
            min_version: tls.min_version,
        };
        let before = self.previous.and_then(|p| p.outlets.get(path));
        if let Some(same) = before.filter(|b| b.tls.is_of(&object, certificate.as_deref())) {
            return Ok(same.clone());
        }
        let tls = ClientTls::compile(&object, certificate.as_deref(), self.blobs);
        Ok(Outlet { tls: Arc::new(tls.map_err(|problem| vec![problem])?), certificate })
    }

    fn settings(&self) -> Option<&'a Settings> {
        self.plan.settings(SETTINGS)
    }
}
