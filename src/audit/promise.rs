//! What a statement promises besides: a form in which data leaves (hashed, encrypted), a condition (after consent,
//! only when …). Says which promises a data flow breaks and which denials hold for it.

use crate::model::{DataFlow, DataForm, Declaration, MatchKind, Observation, Polarity};

/// Words of a condition that waits for the user's consent.
const CONSENT: &[&str] = &["同意", "授权", "许可", "允许", "consent", "permission", "permit", "agree", "authori"];
/// Words of a promise to ask later (如存在其他共享情形, 我们会征得您的同意): until then the denial stands.
const ASKS_LATER: &[&str] = &["我们会", "我们将", "会直接", "将直接", "再次", "we will", "we'll", "we would"];
/// Words of a condition that leaves exceptions open.
const EXCEPTION: &[&str] = &[
    "除外",
    "以下情况",
    "下列情况",
    "以下情形",
    "下列情形",
    "除非",
    "另有",
    "法律",
    "except",
    "unless",
    "required by law",
];
/// Words of a denial of everything that was not granted just before.
const RESIDUAL: &[&str] = &["除此之外", "除此以外", "除前述", "除上述", "otherwise", "other than that", "any other"];
/// Words of a denial that speaks of readable data only.
const READABLE: &[&str] =
    &["明文", "原文", "未加密", "未经加密", "plain text", "plaintext", "in the clear", "unencrypted"];
/// The chain steps that are one-way. Prefixes: `sha256`, `sha512-224`, `md5-16`, `ripemd160` …
const HASHES: &[&str] = &["md2", "md4", "md5", "sha", "sm3", "ripemd", "blake", "hmac", "crc"];

/// How far a denial reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    /// It denies this flow.
    Flat,
    /// It denies what the statement before it does not grant (除此之外不会…).
    Residual,
    /// Its condition or form leaves this flow open.
    Open,
}

/// How far a denial reaches for a flow.
pub(super) fn denial(declaration: &Declaration, flow: &DataFlow) -> Denial {
    let condition = declaration.condition.as_deref().unwrap_or("").to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| condition.contains(word));
    if declaration.form == Some(DataForm::Plain) || says(READABLE) {
        return if plainly_sent(flow).is_some() { Denial::Flat } else { Denial::Open };
    }
    if condition.is_empty() {
        return Denial::Flat;
    }
    if says(CONSENT) {
        if says(ASKS_LATER) && !says(&["未经", "除", "without", "unless", "except"]) {
            return Denial::Flat;
        }
        return if flow.before_consent { Denial::Flat } else { Denial::Open };
    }
    if says(EXCEPTION) || !says(RESIDUAL) { Denial::Open } else { Denial::Residual }
}

/// How a flow breaks what a positive statement promises; none where it keeps it or nothing can be said.
pub(super) fn broken(declaration: &Declaration, flow: &DataFlow) -> Option<String> {
    if declaration.polarity == Polarity::Negative {
        return None;
    }
    match declaration.form {
        Some(DataForm::Hashed) if plainly_sent(flow).is_some() => {
            return Some("it is promised to leave hashed only, and was sent as it is".to_owned());
        }
        Some(DataForm::Anonymised) if plainly_sent(flow).is_some() => {
            return Some("it is promised to leave anonymised only, and was sent as it is".to_owned());
        }
        Some(DataForm::Encrypted) if flow.cleartext => {
            return Some("it is promised to leave encrypted, and was sent outside TLS".to_owned());
        }
        _ => {}
    }
    waits_for_consent(declaration).filter(|_| flow.before_consent).map(|condition| {
        format!("it is promised only \u{201c}{condition}\u{201d}, and was sent before the user agreed")
    })
}

/// The condition of a statement that speaks of consent.
fn waits_for_consent(declaration: &Declaration) -> Option<&str> {
    let condition = declaration.condition.as_deref()?;
    let lower = condition.to_lowercase();
    CONSENT.iter().any(|word| lower.contains(word)).then_some(condition)
}

/// Whether a denial of all else is broken for certain: the value is a canary text that the tester put there, so it
/// cannot be what the statement grants.
pub(super) fn is_canary(flow: &DataFlow) -> bool {
    flow.data_type.as_str() == "clipboard" && flow.evidence.iter().any(|seen| seen.matched == MatchKind::Known)
}

/// The first observation whose value was not hashed.
pub(super) fn plainly_sent(flow: &DataFlow) -> Option<&Observation> {
    flow.evidence.iter().find(|seen| !is_hashed(seen))
}

/// Whether the value itself was hashed before it was sent.
pub(super) fn is_hashed(seen: &Observation) -> bool {
    seen.chain.iter().any(|step| {
        let step = step.0.to_ascii_lowercase();
        HASHES.iter().any(|hash| step.starts_with(hash))
    })
}

#[cfg(test)]
mod tests {
    use super::{Denial, broken, denial};
    use crate::audit::fixture::{self, collects, denies};
    use crate::model::{DataForm, Decoding};

    #[test]
    fn a_denial_with_exceptions_leaves_the_flow_open() {
        let flow = fixture::flow("imei", fixture::own());
        let conditioned =
            |text: &str| fixture::Says { condition: Some(text.into()), ..denies("third_party", "imei") }.build(1);
        assert_eq!(denial(&denies("third_party", "imei").build(1), &flow), Denial::Flat);
        for open in ["未经您同意", "但以下情况除外", "除法律法规另有规定外", "Except with your consent", "仅用于登录"]
        {
            assert_eq!(denial(&conditioned(open), &flow), Denial::Open, "{open}");
        }
        assert_eq!(denial(&conditioned("除此之外"), &flow), Denial::Residual);
        assert_eq!(denial(&conditioned("我们会另行征得您的明示同意后"), &flow), Denial::Flat);
        let mut early = flow.clone();
        early.before_consent = true;
        assert_eq!(denial(&conditioned("未经您同意"), &early), Denial::Flat);
        assert_eq!(denial(&conditioned("除法律法规另有规定外"), &early), Denial::Open);
    }

    #[test]
    fn a_denial_of_readable_data_leaves_a_hash_open() {
        let mut flow = fixture::flow("contacts", fixture::own());
        let said = fixture::Says { condition: Some("明文".into()), ..denies("first_party", "contacts") }.build(1);
        assert_eq!(denial(&said, &flow), Denial::Flat);
        flow.evidence[0].chain.push(Decoding("sha256"));
        assert_eq!(denial(&said, &flow), Denial::Open);
    }

    #[test]
    fn a_promised_form_is_held_against_the_bytes() {
        let mut flow = fixture::flow("imei", fixture::own());
        let in_form = |form| fixture::Says { form: Some(form), ..collects("first_party", "imei") }.build(1);
        assert!(broken(&in_form(DataForm::Hashed), &flow).is_some_and(|why| why.contains("hashed")));
        assert!(broken(&in_form(DataForm::Anonymised), &flow).is_some());
        assert_eq!(broken(&in_form(DataForm::Encrypted), &flow), None);
        assert_eq!(broken(&in_form(DataForm::Plain), &flow), None);
        flow.cleartext = true;
        assert!(broken(&in_form(DataForm::Encrypted), &flow).is_some());
        flow.evidence[0].chain.push(Decoding("md5"));
        assert_eq!(broken(&in_form(DataForm::Hashed), &flow), None);
    }

    #[test]
    fn a_statement_that_waits_for_consent_is_broken_before_it() {
        let mut flow = fixture::flow("imei", fixture::own());
        let said =
            fixture::Says { condition: Some("征得您的同意后".into()), ..collects("first_party", "imei") }.build(1);
        assert_eq!(broken(&said, &flow), None);
        flow.before_consent = true;
        assert!(broken(&said, &flow).is_some_and(|why| why.contains("征得您的同意后")));
    }
}
