//! Key logs: lines added all at once, or one by one to copies that share what they have, are the same sessions.

use divulge::model::KeySource;
use divulge::tls::KeyLog;

/// Reads one input.
pub fn target(data: &[u8]) {
    let mut whole = KeyLog::new();
    let problems = whole.add_text(KeySource::Keylog, data).len();
    let mut parts = KeyLog::new();
    let mut found = 0;
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        let mut copy = parts.clone();
        found += copy.add_text(KeySource::Keylog, line).len();
        parts = copy;
    }
    assert_eq!(whole.sessions(), parts.sessions());
    assert_eq!(found, problems);
    let randoms = whole.client_randoms(usize::MAX).expect("no more than that");
    assert_eq!(parts.client_randoms(usize::MAX).as_ref(), Some(&randoms));
    for random in &randoms {
        assert!(whole.knows(random) && parts.knows(random));
    }
}
