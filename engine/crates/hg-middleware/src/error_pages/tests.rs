//! Options of `error_pages`.

use super::*;

fn problems(json: &str) -> Vec<String> {
    let mut problems = Problems::new();
    let options: Options = serde_json::from_str(json).unwrap();
    let made = ErrorPages::compile(&options, &mut problems);
    assert_eq!(made.is_none(), !problems.is_empty());
    problems.into_iter().map(|(path, _)| path).collect()
}

#[test]
fn pages_are_for_errors_and_short() {
    assert!(problems(r#"{"pages":[{"statuses":[[404,404],[500,599]],"body":"x"}]}"#).is_empty());
    assert_eq!(problems(r#"{"pages":[]}"#), ["error_pages.pages"]);
    for statuses in ["[]", "[[399,404]]", "[[404,403]]", "[[404,600]]"] {
        let json = format!(r#"{{"pages":[{{"statuses":{statuses},"body":"x"}}]}}"#);
        assert_eq!(problems(&json), ["error_pages.pages[0].statuses"]);
    }
    let long = "x".repeat(LONGEST + 1);
    let json = format!(r#"{{"pages":[{{"statuses":[[404,404]],"body":"{long}"}}]}}"#);
    assert_eq!(problems(&json), ["error_pages.pages[0].body"]);
    for kind in ["", "html", "a/b\\n"] {
        let json = format!(
            r#"{{"pages":[{{"statuses":[[404,404]],"body":"","content_type":"{kind}"}}]}}"#
        );
        assert_eq!(problems(&json), ["error_pages.pages[0].content_type"]);
    }
}
