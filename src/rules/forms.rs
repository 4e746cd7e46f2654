//! What ids, hosts, packages and patterns in rule files must look like.

use regex::Regex;

/// Whether an id is lower-case words joined by underscores.
pub(super) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Whether a host name or domain suffix is well formed and lower case.
pub(super) fn is_host(host: &str) -> bool {
    host.contains('.')
        && host.len() <= 253
        && host.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        })
        && !host.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// Whether a package prefix is dotted Java names.
pub(super) fn is_package(package: &str) -> bool {
    package.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
}

/// Compiles a pattern for ASCII-fast matching.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let unguarded = pattern.replace("(?-u:\\b)", "").replace("(?-u:\\B)", "").replace("\\\\", "");
    for (class, instead) in [("\\b", "(?-u:\\b)"), ("\\d", "[0-9]"), ("\\w", "[0-9A-Za-z_]"), ("\\s", "[ \\t\\r\\n]")] {
        if unguarded.contains(class) {
            return Err(format!("`{class}` is Unicode-aware and slow here; write `{instead}`"));
        }
    }
    Regex::new(pattern).map_err(|error| {
        let text = error.to_string();
        format!("bad pattern: {}", text.lines().last().unwrap_or(&text).trim_start_matches("error: "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_lower_case_names_with_a_dot() {
        for host in ["a.b", "x1.example.com", "_dmarc.example.com", "xn--fiqs8s.cn"] {
            assert!(is_host(host), "{host}");
        }
        for host in
            ["", "localhost", "A.b", "a..b", ".a.b", "a.b.", "https://a.b", "a.b:80", "*.a.b", "1.2.3.4", "-a.b"]
        {
            assert!(!is_host(host), "{host}");
        }
    }

    #[test]
    fn slow_classes_are_refused_with_what_to_write_instead() {
        for (pattern, instead) in
            [(r"\bx", r"(?-u:\b)"), (r"\d+", "[0-9]"), (r"\w", "[0-9A-Za-z_]"), (r"a\s", r"[ \t\r\n]")]
        {
            let message = compile(pattern).map(|_| ()).expect_err(pattern);
            assert!(message.contains(instead), "{message}");
        }
        assert!(compile(r"(?-u:\b)[0-9]{2}\\d").is_ok(), "an escaped backslash before a d is no class");
        assert!(compile("[").is_err());
    }
}
