//! Properties of routing that hold for any input, for fuzz targets and property tests.

use crate::path;
use crate::query::Query;
use crate::router::Router;
use crate::scratch::Scratch;

/// Checks, for a path as a client may send it, that the forwarded path belongs to the route that
/// was used: a next hop that normalises, or decodes once more, sees no other path. Ignores the path
/// of `q`. A refused path is valid.
///
/// # Errors
/// Returns the property that does not hold.
pub fn forwarded_path_keeps_its_route(
    router: &Router,
    q: &Query<'_>,
    raw_path: &str,
    scratch: &mut Scratch,
) -> Result<(), String> {
    let (mut first, mut second) = (String::new(), String::new());
    let Ok(routed) = path::normalise(raw_path, &mut first) else {
        return Ok(());
    };
    let forwarded = match path::normalise(routed, &mut second) {
        Ok(path) if path == routed => path,
        other => {
            return Err(format!("{raw_path:?}: {routed:?} is normalised again to {other:?}"));
        }
    };
    let has_dots = |p: &str| p.split('/').any(|s| s == "." || s == "..");
    if !routed.starts_with('/') || routed.contains("//") || has_dots(routed) {
        return Err(format!("{raw_path:?}: {routed:?} is not normal"));
    }
    if has_dots(&routed.replace("%2F", "/")) || routed.contains(['\\', '\0', ' ', '#', '?']) {
        return Err(format!("{raw_path:?}: {routed:?} changes its meaning when decoded"));
    }
    let used = router.find(&Query { path: routed, ..*q }, scratch);
    let again = router.find(&Query { path: forwarded, ..*q }, scratch);
    let why = router.explain(&Query { path: forwarded, ..*q }, scratch);
    let explained = why.won.map(|w| w.which.found);
    if used != again || used != explained {
        return Err(format!(
            "{raw_path:?}: routed {used:?}, forwarded {again:?}, explained {explained:?}"
        ));
    }
    match used {
        Some(found) if !routed.is_char_boundary(found.prefix_len) => {
            Err(format!("{raw_path:?}: prefix of {} bytes", found.prefix_len))
        }
        _ => Ok(()),
    }
}
