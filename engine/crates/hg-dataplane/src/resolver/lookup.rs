//! Look-up of names: DNS and the hosts file through hickory, or the system's resolver if that
//! cannot be set up.

use super::schedule::{Answer, Lack};
use hg_plan::Resolver as Settings;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Most addresses used of one name.
const ADDRESSES: usize = 64;

/// After a change of these files the system's settings are read again.
const SYSTEM_FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// A lookup in progress.
pub type Asking = Pin<Box<dyn Future<Output = Result<Answer, String>> + Send>>;

/// Looks up hosts.
pub trait Lookup: Send + Sync {
    /// Looks up a host's IPv4 and IPv6 addresses. An answer without addresses is an error.
    fn ask(&self, host: &str, settings: &Settings) -> Asking;
}

/// DNS with the plan's servers or the system's; rebuilt when either changes.
#[derive(Default)]
pub struct DnsLookup {
    built: Mutex<Option<Built>>,
}

struct Built {
    servers: Vec<String>,
    timeout_ms: u64,
    files: [Option<SystemTime>; SYSTEM_FILES.len()],
    source: Source,
}

#[derive(Clone)]
enum Source {
    Dns(Arc<Families>),
    System,
}

/// A resolver for each family of addresses: one that asks for both hides the failure of one.
struct Families {
    v6: TokioResolver,
    v4: TokioResolver,
    /// The time that the questions of one family have.
    limit: Duration,
}

impl Lookup for DnsLookup {
    fn ask(&self, host: &str, settings: &Settings) -> Asking {
        let host = host.to_owned();
        match self.source(settings) {
            Source::Dns(families) => Box::pin(async move { dns(&families, &host).await }),
            Source::System => Box::pin(async move { system(&host).await }),
        }
    }
}

impl DnsLookup {
    fn source(&self, settings: &Settings) -> Source {
        let files =
            SYSTEM_FILES.map(|path| std::fs::metadata(path).and_then(|m| m.modified()).ok());
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(built) = built.as_ref().filter(|b| b.fits(settings, &files)) {
            return built.source.clone();
        }
        let source = families(settings).map_or(Source::System, |dns| Source::Dns(Arc::new(dns)));
        *built = Some(Built {
            servers: settings.servers.clone(),
            timeout_ms: settings.timeout_ms,
            files,
            source: source.clone(),
        });
        source
    }
}

impl Built {
    fn fits(&self, settings: &Settings, files: &[Option<SystemTime>]) -> bool {
        self.servers == settings.servers
            && self.timeout_ms == settings.timeout_ms
            && self.files == *files
    }
}

fn families(settings: &Settings) -> Option<Families> {
    let v6 = build(settings, LookupIpStrategy::Ipv6Only)?;
    let v4 = build(settings, LookupIpStrategy::Ipv4Only)?;
    // Somewhat less than the whole look-up has, so that one family may stay without an answer.
    let limit = Duration::from_millis(settings.timeout_ms.max(1) * 9 / 10);
    Some(Families { v6, v4, limit })
}

/// Builds a resolver for these settings; `None` if the system names no server that can be used.
fn build(settings: &Settings, family: LookupIpStrategy) -> Option<TokioResolver> {
    let servers: Vec<NameServerConfig> =
        settings.servers.iter().filter_map(|text| server(text)).collect();
    let mut builder = if servers.is_empty() {
        let (config, options) = hickory_resolver::system_conf::read_system_conf().ok()?;
        if config.name_servers().is_empty() {
            return None;
        }
        let provider = TokioRuntimeProvider::default();
        TokioResolver::builder_with_config(config, provider).with_options(options)
    } else {
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    options.ip_strategy = family;
    // We cache the answers ourselves, with our own bounds.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Always;
    options.attempts = 2;
    // The time of one question allows two attempts.
    options.timeout = Duration::from_millis((settings.timeout_ms / 2).max(100));
    builder.build().ok()
}

/// Parses a name server from `address:port` (or `address`, port 53), over UDP and TCP.
fn server(text: &str) -> Option<NameServerConfig> {
    let address: SocketAddr =
        text.parse().or_else(|_| text.parse::<IpAddr>().map(|ip| (ip, 53).into())).ok()?;
    let with_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    server.connections = server.connections.into_iter().map(with_port).collect();
    Some(server)
}

/// Addresses of one family and their TTL, or why there are none: a failure, or none at all.
type Found = Result<(Vec<IpAddr>, Duration), (bool, String)>;

async fn dns(families: &Families, host: &str) -> Result<Answer, String> {
    let of = async |resolver: &TokioResolver| -> Found {
        let found = tokio::time::timeout(families.limit, resolver.lookup_ip(host)).await;
        let found = found.map_err(|_| (true, "the name servers do not answer".to_owned()))?;
        let found = found.map_err(|error| {
            let is_none = error.is_nx_domain() || error.is_no_records_found();
            (!is_none, reason(&error))
        })?;
        let ttl = found.valid_until().saturating_duration_since(Instant::now());
        Ok((found.iter().collect(), ttl))
    };
    let (v6, v4) = tokio::join!(of(&families.v6), of(&families.v4));
    joined(v6, v4)
}

/// Puts the answers for both families together. A failure of one says nothing of the other.
fn joined(v6: Found, v4: Found) -> Result<Answer, String> {
    let lack =
        |is_ipv4, (is_failure, why): (bool, String)| is_failure.then_some(Lack { is_ipv4, why });
    match (v6, v4) {
        (Ok((mut addresses, of_v6)), Ok((more, of_v4))) => {
            addresses.extend(more);
            answer(addresses, Some(of_v6.min(of_v4)), None)
        }
        (Ok((addresses, ttl)), Err(error)) => answer(addresses, Some(ttl), lack(true, error)),
        (Err(error), Ok((addresses, ttl))) => answer(addresses, Some(ttl), lack(false, error)),
        (Err((true, why)), Err(_)) | (Err(_), Err((_, why))) => Err(why),
    }
}

async fn system(host: &str) -> Result<Answer, String> {
    let found = tokio::net::lookup_host((host, 0)).await.map_err(|error| error.to_string())?;
    answer(found.map(|address| address.ip()).collect(), None, None)
}

/// Sorts the addresses, so that servers which rotate their answers do not cause a change each time.
fn answer(
    mut addresses: Vec<IpAddr>,
    ttl: Option<Duration>,
    lack: Option<Lack>,
) -> Result<Answer, String> {
    addresses.sort_unstable_by_key(|address| (address.is_ipv4(), *address));
    addresses.dedup();
    addresses.truncate(ADDRESSES);
    if addresses.is_empty() {
        return Err("the name has no addresses".into());
    }
    Ok(Answer { addresses, ttl, lack })
}

fn reason(error: &NetError) -> String {
    if error.is_nx_domain() {
        "no such name (NXDOMAIN)".into()
    } else if error.is_no_records_found() {
        "the name has no addresses".into()
    } else {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_sorted_each_address_once_and_bounded() {
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        let given = ["10.0.0.2", "::1", "10.0.0.1", "10.0.0.2"].map(parse).to_vec();
        let found = answer(given, None, None).unwrap();
        assert_eq!(found.addresses, ["::1", "10.0.0.1", "10.0.0.2"].map(parse));
        let many = (0..200).map(|i| IpAddr::from([10, 0, 1, i])).collect();
        assert_eq!(answer(many, None, None).unwrap().addresses.len(), ADDRESSES);
        assert!(answer(Vec::new(), None, None).is_err());
    }

    #[test]
    fn a_server_has_a_port_or_53() {
        let port = |text| server(text).map(|s| s.connections.iter().map(|c| c.port).collect());
        assert_eq!(port("127.0.0.1:5353"), Some(vec![5353, 5353]));
        assert_eq!(port("::1"), Some(vec![53, 53]));
        assert_eq!(port("[::1]:54"), Some(vec![54, 54]));
        assert_eq!(port("dns.test"), None::<Vec<u16>>);
    }

    /// A name server for one test: answers A questions with 10.0.0.7 and a TTL of 30 s, AAAA
    /// questions with nothing, or with a failure for a name that begins with `bad`, and knows no name
    /// that begins with `no`. Counts the questions.
    fn name_server(questions: usize) -> (String, std::thread::JoinHandle<usize>) {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(45))).unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let serve = move || {
            let mut buffer = [0; 512];
            for answered in 0..questions {
                let Ok((len, from)) = socket.recv_from(&mut buffer) else { return answered };
                socket.send_to(&reply(&buffer[..len]), from).unwrap();
            }
            questions
        };
        (address, std::thread::spawn(serve))
    }

    /// Makes the answer to a query with one question (RFC 1035 section 4).
    fn reply(query: &[u8]) -> Vec<u8> {
        let name_len = query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
        let question = &query[12..12 + name_len + 4];
        let (is_a, is_unknown) = (question[name_len + 1] == 1, question[1..].starts_with(b"no"));
        let fails = !is_a && question[1..].starts_with(b"bad");
        let code = if is_unknown { 3 } else { 2 * u8::from(fails) };
        let mut reply = query[..2].to_vec();
        reply.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(is_a && !is_unknown), 0, 0, 0, 0]);
        reply.extend(question);
        if is_a && !is_unknown {
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 10, 0, 0, 7]);
        }
        reply
    }

    /// With time enough that no question is asked twice, as the servers count them.
    fn settings(server: String) -> Settings {
        Settings { servers: vec![server], timeout_ms: 30_000, ..Settings::default() }
    }

    fn ask(lookup: &DnsLookup, host: &str, server: &str) -> Result<Answer, String> {
        let settings = settings(server.into());
        crate::server::runtime().unwrap().block_on(async { lookup.ask(host, &settings).await })
    }

    #[test]
    fn both_families_are_asked_each_time_and_the_ttl_is_the_servers() {
        let (server, thread) = name_server(4);
        for _ in 0..2 {
            let answer = ask(&DnsLookup::default(), "a.test.", &server).unwrap();
            assert_eq!(answer.addresses, [IpAddr::from([10, 0, 0, 7])]);
            let ttl = answer.ttl.unwrap().as_secs();
            // An answer without one counts for 10 s.
            assert!((11..=30).contains(&ttl), "{ttl}");
        }
        assert_eq!(thread.join().unwrap(), 4);
    }

    #[test]
    fn an_answer_is_not_kept_below_us() {
        let (server, thread) = name_server(4);
        let settings = settings(server);
        let lookup = DnsLookup::default();
        crate::server::runtime().unwrap().block_on(async {
            lookup.ask("a.test", &settings).await.unwrap();
            lookup.ask("a.test", &settings).await.unwrap();
        });
        assert_eq!(thread.join().unwrap(), 4);
    }

    #[test]
    fn a_family_that_cannot_be_asked_is_not_one_that_the_name_lacks() {
        let (server, _) = name_server(64);
        let found = ask(&DnsLookup::default(), "bad.test.", &server).unwrap();
        assert_eq!(found.addresses, [IpAddr::from([10, 0, 0, 7])]);
        let lack = found.lack.unwrap();
        assert!(!lack.is_ipv4 && !lack.why.contains("no addresses"), "{lack:?}");
        assert_eq!(ask(&DnsLookup::default(), "a.test.", &server).unwrap().lack, None);
        // Of two errors the failure is told.
        let (none, fails) = (|| Err((false, "none".into())), || Err((true, "fails".into())));
        assert_eq!(joined(none(), fails()), Err("fails".into()));
        assert_eq!(joined(fails(), none()), Err("fails".into()));
        assert_eq!(joined(none(), none()), Err("none".into()));
    }

    #[test]
    fn a_name_that_does_not_exist_is_said_so() {
        let (server, _) = name_server(2);
        let error = ask(&DnsLookup::default(), "no.test.", &server).unwrap_err();
        assert_eq!(error, "no such name (NXDOMAIN)");
    }

    #[test]
    fn the_hosts_file_is_asked_first() {
        let answer = ask(&DnsLookup::default(), "localhost", "127.0.0.1:9").unwrap();
        assert!(answer.addresses.iter().all(IpAddr::is_loopback), "{answer:?}");
    }
}
