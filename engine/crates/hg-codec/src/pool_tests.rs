use super::*;

#[test]
fn a_pool_gives_out_as_many_as_it_may() {
    let mut pool = Pool::new(2);
    let levels = Levels::default();
    let first = pool.take(Coding::Gzip, levels).unwrap();
    let _second = pool.take(Coding::Brotli, levels).unwrap();
    assert!(pool.take(Coding::Zstd, levels).is_none());
    assert_eq!(pool.busy(), 2);
    drop(first);
    assert!(pool.take(Coding::Zstd, levels).is_some());
    assert_eq!(pool.busy(), 1);
}

#[test]
fn an_encoder_waits_for_a_body_of_its_coding_and_levels() {
    let mut pool = Pool::new(8);
    let levels = Levels::default();
    for coding in Coding::ALL {
        let (mut encoder, mut out) = (pool.take(coding, levels).unwrap(), Vec::new());
        encoder.write(b"body", &mut out);
        encoder.flush(&mut out);
        pool.finish(encoder, &mut out);
    }
    assert_eq!((pool.busy(), pool.idle.len()), (0, 2));
    let other = Levels { gzip: 9, ..levels };
    let _other = pool.take(Coding::Gzip, other).unwrap();
    assert_eq!(pool.idle.len(), 2);
    let _same = pool.take(Coding::Gzip, levels).unwrap();
    assert_eq!(pool.idle.len(), 1);
}

#[test]
fn few_encoders_wait() {
    let mut pool = Pool::new(64);
    let levels = Levels::default();
    let taken: Vec<_> = (0..10).map(|_| pool.take(Coding::Gzip, levels).unwrap()).collect();
    taken.into_iter().for_each(|encoder| pool.finish(encoder, &mut Vec::new()));
    assert_eq!((pool.busy(), pool.idle.len()), (0, MOST_IDLE));
}
