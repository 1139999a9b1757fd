use super::*;
use hg_codec::Coding;

struct Sent<'a>(&'a [(&'static str, &'static [u8])]);

impl Headers for Sent<'_> {
    fn each(&self, name: &str, line: &mut dyn FnMut(&[u8])) {
        self.0.iter().filter(|(n, _)| *n == name).for_each(|(_, value)| line(value));
    }
}

#[test]
fn the_coding_of_a_body_is_read_from_all_lines() {
    const NAME: &str = "content-encoding";
    let as_all = |all: &[Readable]| {
        all.iter().fold(Coded::Plain, |coded, coding| coded.under(Some(*coding)))
    };
    let (gzip, br) = (Readable::from(Coding::Gzip), Readable::from(Coding::Brotli));
    let twice = as_all(&[gzip, br]);
    let Coded::As(codings) = twice else { panic!("{twice:?}") };
    assert_eq!(codings.iter().collect::<Vec<_>>(), [gzip, br]);
    let (gzips, gzip, br) = ([gzip; 3], as_all(&[gzip]), as_all(&[br]));
    for (lines, coded) in [
        (&[][..], Coded::Plain),
        (&[(NAME, &b"identity"[..])], Coded::Plain),
        (&[(NAME, b""), (NAME, b" , Identity")], Coded::Plain),
        (&[(NAME, b"GZip")], gzip),
        (&[(NAME, b"x-gzip")], gzip),
        (&[(NAME, b"identity,\t gzip ,")], gzip),
        (&[(NAME, b"identity"), (NAME, b"gzip")], gzip),
        (&[(NAME, b"br")], br),
        (&[(NAME, b"zstd")], as_all(&[Coding::Zstd.into()])),
        (&[(NAME, b"deflate")], as_all(&[Readable::Deflate])),
        (&[(NAME, b"gzip, br")], twice),
        (&[(NAME, b"gzip"), (NAME, b"identity, br")], twice),
        (&[(NAME, b"gzip, gzip,gzip")], as_all(&gzips)),
        (&[(NAME, b"gzip, gzip,gzip"), (NAME, b"gzip")], Coded::Otherwise),
        (&[(NAME, b"gzip, compress")], Coded::Otherwise),
        (&[(NAME, b"compress")], Coded::Otherwise),
        (&[(NAME, b"compress"), (NAME, b"gzip")], Coded::Otherwise),
        (&[(NAME, b"gzip;q=1")], Coded::Otherwise),
        (&[(NAME, b"gzip"), ("content-range", b"bytes 0-9/20")], Coded::Otherwise),
        (&[("content-range", b"bytes 0-9/20")], Coded::Plain),
    ] {
        assert_eq!(Coded::of(&Sent(lines)), coded, "{lines:?}");
    }
}

#[test]
fn every_coding_has_a_result_of_its_name() {
    let names: Vec<&str> = Readable::ALL.iter().map(|one| one.token()).collect();
    assert_eq!(names, RESULTS[..PLAIN]);
    assert_eq!(RESULTS[PLAIN..], ["plain", "unsupported", "corrupt", "too_large"]);
}
