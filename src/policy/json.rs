//! Documents as `divulge.policy/1`.

use crate::model::PolicyDocument;
use serde_json::{Value, json};

/// Name and version of the contract.
pub const SCHEMA: &str = "divulge.policy/1";

/// The documents as `{schema, documents: […]}`.
#[must_use]
pub fn to_json(documents: &[PolicyDocument]) -> Value {
    json!({ "schema": SCHEMA, "documents": documents })
}

#[cfg(test)]
mod tests {
    use crate::rules::RuleSet;

    #[test]
    fn the_contract_has_its_keys() {
        let rules = RuleSet::builtin().unwrap();
        let documents = super::super::read("小纸条隐私政策\n1.1 当您注册时,我们会收集您的手机号码。", &rules);
        let json = super::to_json(&documents);
        assert_eq!(json["schema"], "divulge.policy/1");
        let document = json["documents"][0].as_object().unwrap();
        let keys: Vec<_> = document.keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "app",
                "defects",
                "effective_date",
                "language",
                "publisher",
                "sections",
                "span",
                "statements",
                "title",
                "updated_date"
            ]
        );
        let statement = document["statements"][0].as_object().unwrap();
        let keys: Vec<_> = statement.keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "action",
                "clause",
                "condition",
                "data",
                "form",
                "id",
                "polarity",
                "purpose",
                "recipient",
                "source",
                "span"
            ]
        );
        assert_eq!(statement["data"][0]["type"], "phone_number");
        assert_eq!(statement["recipient"]["id"], "first_party");
    }
}
