//! The contract as an author reads it.

use std::fs;
use std::path::Path;

use regex_lite::Regex;
use turnbuckle_tests::tree;

#[test]
fn everything_in_the_contract_is_documented() {
    let item = Regex::new(
        r"^(interface|world|record|variant|enum|flags|resource|type) |^(static )?[a-z][a-z0-9-]*: (static |async )?func\(",
    )
    .unwrap();
    let mut violations = Vec::new();
    tree::files(&tree::top().join("wit"), &mut |path: &Path| {
        if path.extension().is_none_or(|extension| extension != "wit") {
            return;
        }
        let text = fs::read_to_string(path).unwrap();
        let mut above = "";
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if item.is_match(line) && !above.starts_with("///") {
                violations.push(format!("{}:{}: {line}", tree::below_top(path), index + 1));
            }
            // A gate such as `@since` stands between an item and its words.
            if !line.starts_with('@') {
                above = line;
            }
        }
    });
    assert_eq!(violations, Vec::<String>::new(), "an author reads the contract, so each part of it says what it means");
}
