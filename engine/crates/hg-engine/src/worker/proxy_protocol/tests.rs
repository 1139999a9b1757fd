use super::tell::common_name;

#[test]
fn a_plain_common_name_is_found_and_one_with_escapes_is_not_taken_apart() {
    assert_eq!(common_name("CN=ada,O=Example"), Some("ada"));
    assert_eq!(common_name("O=Example, CN=ada lovelace"), Some("ada lovelace"));
    for other in ["", "O=Example", r"O=a\,CN=root", "CN=a+OU=b", r#"O="a,CN=root""#] {
        assert_eq!(common_name(other), None, "{other}");
    }
}
