//! The balancers, one file each.

crate::policy::balancers! {
    round_robin => RoundRobin,
    least_conn => LeastConn,
    random => WeightedRandom,
    p2c => P2c,
    ring_hash => RingHash,
    maglev => Maglev,
}
