use super::*;

#[test]
fn the_same_key_gives_the_same_object_until_nobody_uses_it() {
    let keep = Keep::new(2);
    let first = keep.get("limit", "middleware a", || AtomicU64::new(7));
    first.store(8, Relaxed);
    let again = keep.get("limit", "middleware a", || AtomicU64::new(0));
    assert!(Arc::ptr_eq(&first, &again));
    let others = [
        keep.get("limit", "middleware b", || AtomicU64::new(0)),
        keep.get("other", "middleware a", || AtomicU64::new(0)),
    ];
    assert!(others.iter().all(|one| one.load(Relaxed) == 0));
    assert_eq!(*keep.get("limit", "middleware a", || "of another type"), "of another type");
    drop((first, again));
    assert_eq!(keep.get("limit", "middleware a", || AtomicU64::new(9)).load(Relaxed), 9);
}

#[test]
fn what_nobody_uses_takes_no_room() {
    let keep = Keep::new(1);
    for i in 0..10_000 {
        drop(keep.get("limit", &i.to_string(), || 0_u8));
    }
    assert!(lock(&keep.kept).len() < 1_000);
}

#[test]
fn results_are_summed_over_the_workers() {
    let keep = Keep::new(3);
    let named = keep.results_of("slow", "fault", &["pass", "delay"]);
    let inline = keep.results_of("", "fault", &["pass", "delay"]);
    for worker in 0..5 {
        named.add(worker, 1);
    }
    inline.add(0, 0);
    inline.add(0, 99);
    let count = |middleware: &str, result, count| ResultCount {
        middleware: middleware.into(),
        kind: "fault",
        result,
        count,
    };
    assert_eq!(
        keep.results(),
        [
            count("", "pass", 1),
            count("", "delay", 0),
            count("slow", "pass", 0),
            count("slow", "delay", 5),
        ]
    );
    drop(inline);
    assert_eq!(keep.results().len(), 2);
    assert!(Arc::ptr_eq(&named, &keep.results_of("slow", "fault", &["pass", "delay"])));
}
