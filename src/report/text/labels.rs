//! The fixed words of the text report in both languages. Captured text, rules' names and policy words are not here.

use crate::model::{OpaqueReason, Severity, Verdict};
use crate::report::Lang;

/// Words of one language.
pub(super) struct Labels {
    pub(super) title: &'static str,
    pub(super) read: &'static str,
    pub(super) app: &'static str,
    pub(super) policy: &'static str,
    pub(super) no_policy: &'static str,
    pub(super) effective: &'static str,
    pub(super) time: &'static str,
    pub(super) marks: &'static str,
    pub(super) frames: &'static str,
    pub(super) exchanges: &'static str,
    pub(super) flows: &'static str,
    pub(super) readable: &'static str,
    pub(super) matrix: &'static str,
    pub(super) data_type: &'static str,
    pub(super) legend: &'static [&'static str],
    pub(super) no_flows: &'static str,
    pub(super) findings: &'static str,
    pub(super) none: &'static str,
    pub(super) clause: &'static str,
    pub(super) no_clause: &'static str,
    pub(super) denies: &'static str,
    pub(super) sent: &'static str,
    pub(super) more: &'static str,
    pub(super) regulations: &'static str,
    pub(super) declared_only: &'static str,
    pub(super) declared_note: &'static str,
    pub(super) coverage: &'static str,
    pub(super) opaque: &'static str,
    pub(super) weirds: &'static str,
    pub(super) warnings: &'static str,
    pub(super) leads: &'static str,
}

static EN: Labels = Labels {
    title: "what the app divulged, held against its policy",
    read: "read",
    app: "app",
    policy: "policy",
    no_policy: "none given: data flows are shown without verdicts",
    effective: "effective",
    time: "time",
    marks: "marks",
    frames: "frames",
    exchanges: "exchanges",
    flows: "flows",
    readable: "of the bytes readable",
    matrix: "Data by recipient",
    data_type: "data type",
    legend: &[
        "C clear",
        "V vague",
        "A ambiguous",
        "I incorrect",
        "O omitted",
        "? not judged",
        "! in clear text",
        "< before consent",
        "(number: times seen)",
    ],
    no_flows: "no personal data was seen in what could be read",
    findings: "Findings",
    none: "none",
    clause: "policy",
    no_clause: "no statement of the policy covers it",
    denies: "denies",
    sent: "sent",
    more: "more",
    regulations: "see",
    declared_only: "Declared, never observed",
    declared_note: "not seen in this capture; that is no proof that it isn't collected",
    coverage: "Coverage by host",
    opaque: "not read",
    weirds: "Odd traffic",
    warnings: "Warnings",
    leads: "Findings are leads from network traffic, not legal findings; what servers do with data is not seen.",
};

static ZH: Labels = Labels {
    title: "应用实际外传的数据与隐私政策的对照",
    read: "输入",
    app: "应用",
    policy: "隐私政策",
    no_policy: "未提供：只列出数据流，不作判定",
    effective: "生效",
    time: "时间",
    marks: "标记",
    frames: "帧",
    exchanges: "次请求",
    flows: "条连接",
    readable: "的字节可读",
    matrix: "数据类型 × 接收方",
    data_type: "数据类型",
    legend: &[
        "C 明确",
        "V 模糊",
        "A 矛盾",
        "I 不符",
        "O 未声明",
        "? 未判定",
        "! 明文传输",
        "< 同意之前",
        "（数字：出现次数）",
    ],
    no_flows: "可读流量中未发现个人信息",
    findings: "发现",
    none: "无",
    clause: "条款",
    no_clause: "隐私政策中没有相应的声明",
    denies: "否认",
    sent: "外传",
    more: "更多",
    regulations: "参见",
    declared_only: "已声明但未观察到",
    declared_note: "本次流量中未出现，不能证明没有收集",
    coverage: "各主机的可读情况",
    opaque: "未能读取",
    weirds: "异常流量",
    warnings: "警告",
    leads: "以上为网络流量给出的线索，并非法律结论；服务器端的处理不可见。",
};

/// The words of a language.
pub(super) const fn labels(lang: Lang) -> &'static Labels {
    match lang {
        Lang::En => &EN,
        Lang::Zh => &ZH,
    }
}

/// Name of a severity.
pub(super) const fn severity(lang: Lang, severity: Severity) -> &'static str {
    match (lang, severity) {
        (Lang::En, _) => severity.as_str(),
        (Lang::Zh, Severity::High) => "高",
        (Lang::Zh, Severity::Medium) => "中",
        (Lang::Zh, Severity::Low) => "低",
        (Lang::Zh, Severity::Note) => "提示",
    }
}

/// The letter of a verdict in the matrix: tells them apart without colour.
pub(super) const fn letter(verdict: Option<Verdict>) -> char {
    match verdict {
        Some(Verdict::Clear) => 'C',
        Some(Verdict::Vague) => 'V',
        Some(Verdict::Ambiguous) => 'A',
        Some(Verdict::Incorrect) => 'I',
        Some(Verdict::Omitted) => 'O',
        Some(Verdict::Unreadable) => 'U',
        None => '?',
    }
}

/// Why bytes stayed closed.
pub(super) const fn opaque(lang: Lang, reason: OpaqueReason) -> &'static str {
    match lang {
        Lang::En => match reason {
            OpaqueReason::NoKey => "encrypted, no key given",
            OpaqueReason::WrongKey => "the key given does not open it",
            OpaqueReason::NoHandshake => "the handshake was not captured",
            OpaqueReason::UnsupportedCipher => "cipher suite or version not supported",
            OpaqueReason::UnknownProtocol => "unknown protocol",
            OpaqueReason::Quic => "QUIC",
            OpaqueReason::Truncated => "bytes lost or cut in the capture",
            OpaqueReason::Pinned => "certificate pinned",
        },
        Lang::Zh => match reason {
            OpaqueReason::NoKey => "已加密，无密钥",
            OpaqueReason::WrongKey => "密钥不匹配",
            OpaqueReason::NoHandshake => "未捕获握手",
            OpaqueReason::UnsupportedCipher => "不支持的加密套件或版本",
            OpaqueReason::UnknownProtocol => "未知协议",
            OpaqueReason::Quic => "QUIC",
            OpaqueReason::Truncated => "数据包丢失或被截断",
            OpaqueReason::Pinned => "证书锁定",
        },
    }
}
