//! `gen-proto-rust DESCRIPTORS OUT_DIR`: writes Rust for a compiled `FileDescriptorSet`.

use prost::Message as _;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [descriptors, out_dir] = arguments.as_slice() else {
        eprintln!("usage: gen-proto-rust DESCRIPTORS OUT_DIR");
        return ExitCode::from(2);
    };
    match generate(Path::new(descriptors), Path::new(out_dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gen-proto-rust: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes one file per protobuf package, with server and client of each service.
fn generate(descriptors: &Path, out_dir: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let bytes = std::fs::read(descriptors)?;
    let set = prost_types::FileDescriptorSet::decode(bytes.as_slice())?;
    tonic_prost_build::configure()
        .build_server(true)
        .build_client(true)
        .build_transport(false)
        .bytes(".headgate.v1.ApplyBlob.content")
        .bytes(".headgate.v1.ObjectChange.canonical")
        .bytes(".headgate.v1.MetricsChunk.text")
        .out_dir(out_dir)
        .compile_fds(set)?;
    Ok(())
}
