//! The interface of a balancer, and the macro that lists all of them.

use crate::load::Choice;
use crate::members::Members;
use crate::{Problem, Random, Sample};
use hg_plan::{Balance, Endpoint};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The problems of a balancer's options: (key among them, what is wrong and what is allowed).
pub(crate) type Problems = Vec<(&'static str, String)>;

/// The options of a balancer that has none.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoOptions {}

/// The endpoints of one tier of an upstream: those that are not backups, or those that are.
pub(crate) struct Tier<'a> {
    /// Those of them that take traffic.
    pub(crate) members: Members,
    /// All endpoints of the upstream; [`crate::members::Member::endpoint`] is an index into them.
    pub(crate) endpoints: &'a [Endpoint],
    /// The number that a weight of 1 is written as.
    pub(crate) unit: u32,
}

/// A request for which an endpoint is picked.
pub(crate) struct Asked<'a> {
    /// The hash of what the balancer's key names; `None` if it names nothing, or the request lacks
    /// it.
    pub(crate) key: Option<u64>,
    /// Any monotonic clock, in microseconds.
    pub(crate) now_us: u64,
    pub(crate) rng: &'a mut dyn Random,
}

impl Asked<'_> {
    /// Returns the hash of the key; a random one if the request has no key.
    pub(crate) fn hash(&mut self) -> u64 {
        self.key.unwrap_or_else(|| self.rng.next_u64())
    }
}

/// One balancer over one tier, with the running state of one worker. A file of `balancers/` has one
/// type that implements it; every hook with a body may be left out. A clone shares what is
/// immutable.
pub(crate) trait Policy: Sized {
    /// The options, as they are in the plan.
    type Options: DeserializeOwned;

    /// Appends what is wrong with the options.
    fn check(_: &Self::Options, _: &mut Problems) {}

    /// Returns the option `key`, which says what is hashed of a request ([`crate::KeySource`]), if
    /// the balancer hashes.
    fn key(_: &Self::Options) -> Option<&str> {
        None
    }

    /// Returns the option that says for how many endpoints there is a place, and its value; `None`
    /// if there is a place for any number.
    fn places(_: &Self::Options) -> Option<(&'static str, u32)> {
        None
    }

    /// Makes the balancer of a tier; the options were checked.
    fn new(tier: Tier<'_>, options: &Self::Options) -> Self;

    /// Returns an endpoint that the choice allows; `None` if there is none. Never allocates.
    fn pick(&mut self, choice: &Choice<'_>, asked: &mut Asked<'_>) -> Option<u32>;

    /// Learns from a request that left the member in this slot, and what that says of latency.
    fn finished(&mut self, _slot: usize, _now_us: u64, _sample: Sample) {}

    /// Takes over what the balancer of an earlier snapshot learned of a member.
    fn inherit(&mut self, _slot: usize, _old: &Self, _old_slot: usize) {}
}

/// Reads a balancer's options.
pub(crate) fn read<P: Policy>(balance: &Balance) -> Result<P::Options, Problem> {
    balance.options().map_err(|message| (path(balance.kind(), ""), message))
}

/// Returns everything that is wrong with options, with its path in the upstream.
pub(crate) fn problems<P: Policy>(kind: &str, options: &P::Options) -> Vec<Problem> {
    let mut found = Problems::new();
    if let Some(Err(message)) = P::key(options).map(crate::KeySource::parse) {
        found.push(("key", message));
    }
    P::check(options, &mut found);
    found.into_iter().map(|(key, message)| (path(kind, key), message)).collect()
}

/// Returns where an option is written in an upstream; without a key, where all of them are.
pub(crate) fn path(kind: &str, key: &str) -> String {
    let dot = if key.is_empty() { "" } else { "." };
    format!("balance.{kind}{dot}{key}")
}

/// Lists the balancers: `file => Type`, one line each. The file's name is the word in config and
/// plan. A pick is a match, not a virtual call.
macro_rules! balancers {
    ($($file:ident => $Policy:ident,)+) => {
        $(mod $file;)+

        /// The names of all balancers, as in config and plan.
        pub const NAMES: &[&str] = &[$(stringify!($file)),+];

        /// The options of any balancer.
        pub(crate) enum AnyOptions {
            $($Policy(<$file::$Policy as $crate::policy::Policy>::Options),)+
        }

        impl AnyOptions {
            /// Reads the options of a plan.
            pub(crate) fn read(balance: &hg_plan::Balance) -> Result<Self, $crate::Problem> {
                match balance.kind() {
                    $(stringify!($file) => {
                        $crate::policy::read::<$file::$Policy>(balance).map(Self::$Policy)
                    })+
                    unknown => {
                        let names = NAMES.join(", ");
                        let what = format!("there is no balance policy `{unknown}`; write {names}");
                        Err(("balance".into(), what))
                    }
                }
            }

            /// Returns everything that is wrong with them.
            pub(crate) fn problems(&self) -> Vec<$crate::Problem> {
                match self {
                    $(Self::$Policy(options) => {
                        $crate::policy::problems::<$file::$Policy>(stringify!($file), options)
                    })+
                }
            }

            /// Returns what is hashed of a request, as it is written.
            pub(crate) fn key(&self) -> Option<&str> {
                match self {
                    $(Self::$Policy(options) => {
                        <$file::$Policy as $crate::policy::Policy>::key(options)
                    })+
                }
            }

            /// Returns where it is written for how many endpoints there is a place, and the number.
            pub(crate) fn places(&self) -> Option<(String, u32)> {
                match self {
                    $(Self::$Policy(options) => {
                        <$file::$Policy as $crate::policy::Policy>::places(options)
                            .map(|(key, most)| ($crate::policy::path(stringify!($file), key), most))
                    })+
                }
            }

            /// Makes the balancer of a tier.
            pub(crate) fn make(&self, tier: $crate::policy::Tier<'_>) -> AnyPolicy {
                match self {
                    $(Self::$Policy(options) => AnyPolicy::$Policy(
                        <$file::$Policy as $crate::policy::Policy>::new(tier, options)
                    ),)+
                }
            }
        }

        /// Any balancer over one tier.
        #[derive(Clone, Debug)]
        pub(crate) enum AnyPolicy {
            $($Policy($file::$Policy),)+
        }

        impl AnyPolicy {
            #[inline]
            pub(crate) fn pick(
                &mut self,
                choice: &$crate::load::Choice<'_>,
                asked: &mut $crate::policy::Asked<'_>,
            ) -> Option<u32> {
                match self {
                    $(Self::$Policy(policy) => $crate::policy::Policy::pick(policy, choice, asked),)+
                }
            }

            pub(crate) fn finished(&mut self, slot: usize, now_us: u64, sample: $crate::Sample) {
                match self {
                    $(Self::$Policy(policy) => {
                        $crate::policy::Policy::finished(policy, slot, now_us, sample);
                    })+
                }
            }

            /// Learns of a member what another one did; nothing from one of another kind.
            pub(crate) fn inherit(&mut self, slot: usize, old: &Self, old_slot: usize) {
                match (self, old) {
                    $((Self::$Policy(new), Self::$Policy(old)) => {
                        $crate::policy::Policy::inherit(new, slot, old, old_slot);
                    })+
                    _ => {}
                }
            }
        }
    };
}
pub(crate) use balancers;
