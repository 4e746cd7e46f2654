//! The page at `http://divulge.internal/`: the certificate to install, and how.

use super::authority::Authority;
use super::explicit::PORTAL_HOST;
use std::net::SocketAddr;

/// What a browser asked.
#[derive(Debug, Clone, Copy)]
pub struct PortalRequest<'r> {
    /// The method.
    pub method: &'r str,
    /// The path, with its query.
    pub target: &'r str,
    /// `Accept-Language`.
    pub accept_language: Option<&'r str>,
}

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:42em;padding:1em;color:#222;background:#fff}\
h1{font-size:1.4em}h2{font-size:1.1em;margin-top:1.6em}code,pre{background:#eee;border-radius:4px;padding:.1em .3em;\
overflow-wrap:anywhere;white-space:pre-wrap}pre{padding:.6em}a.get{display:block;padding:.8em;margin:.5em 0;background:#0b57d0;\
color:#fff;text-align:center;text-decoration:none;border-radius:8px}nav{text-align:right}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#111}code,pre{background:#222}a{color:#8ab4f8}}";

/// The whole response to a request.
#[must_use]
pub fn answer(authority: &Authority, request: &PortalRequest<'_>, address: Option<SocketAddr>) -> Vec<u8> {
    let head_only = request.method == "HEAD";
    if !head_only && request.method != "GET" {
        return response("405 Method Not Allowed", "text/plain", b"only GET and HEAD\n", "Allow: GET, HEAD\r\n", false);
    }
    let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
    let hashed = format!("/{}.0", authority.subject_hash_old());
    let file = |name: &str| format!("Content-Disposition: attachment; filename=\"{name}\"\r\n");
    match path {
        "/" | "" => {
            let chinese = match query {
                "lang=zh" => true,
                "lang=en" => false,
                _ => prefers_chinese(request.accept_language.unwrap_or_default()),
            };
            let page = if chinese { page_zh(authority, address) } else { page_en(authority, address) };
            response("200 OK", HTML, page.as_bytes(), "", head_only)
        }
        "/ca.cer" => {
            response("200 OK", "application/x-x509-ca-cert", authority.der(), &file("divulge-ca.cer"), head_only)
        }
        "/ca.pem" => {
            let body = authority.pem().as_bytes();
            response("200 OK", "application/x-pem-file", body, &file("divulge-ca.pem"), head_only)
        }
        _ if path == hashed => {
            let body = authority.pem().as_bytes();
            response("200 OK", "application/x-pem-file", body, &file(&hashed[1..]), head_only)
        }
        _ => response("404 Not Found", "text/plain; charset=utf-8", b"divulge: no such page\n", "", head_only),
    }
}

fn response(status: &str, kind: &str, body: &[u8], more: &str, head_only: bool) -> Vec<u8> {
    let mut out = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\nX-Content-Type-Options: nosniff\r\n\
         {more}Connection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    if !head_only {
        out.extend_from_slice(body);
    }
    out
}

/// Whether Chinese stands before English in an `Accept-Language` (whose order is nearly always that of its weights).
fn prefers_chinese(accepted: &str) -> bool {
    let place = |wanted: &str| accepted.split(',').position(|language| language.trim().starts_with(wanted));
    match (place("zh"), place("en")) {
        (Some(zh), Some(en)) => zh < en,
        (zh, _) => zh.is_some(),
    }
}

fn shown(address: Option<SocketAddr>) -> (String, String) {
    address.map_or_else(
        || ("HOST".to_owned(), "PORT".to_owned()),
        |at| (at.ip().to_canonical().to_string(), at.port().to_string()),
    )
}

fn page_en(authority: &Authority, address: Option<SocketAddr>) -> String {
    let (host, port) = shown(address);
    let (fingerprint, hash) = (authority.fingerprint(), authority.subject_hash_old());
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
<title>divulge: set up this phone</title><style>{STYLE}</style><nav><a href=\"/?lang=zh\">中文</a></nav>\
<h1>Set up this phone</h1>\
<p>You see this page through the proxy of <b>divulge</b>, which shows what apps send. To let it read TLS, this phone has to trust \
its certificate. Install it on test phones only, and remove it afterwards.</p>\
<a class=\"get\" href=\"/ca.cer\">Certificate for Android and iOS (DER)</a>\
<p>Others: <a href=\"/ca.pem\">ca.pem</a>, for Android's system store <a href=\"/{hash}.0\">{hash}.0</a></p>\
<p>SHA-256, to compare with what the terminal shows:<br><code>{fingerprint}</code></p>\
<h2>Android</h2><p>Settings → Security → Encryption &amp; credentials → Install a certificate → CA certificate. Most apps do not \
trust certificates that a user installs. On a rooted phone, connected by adb, this puts it into the system store until the \
next reboot, on Android 14 and later too:</p><pre>divulge device setup --proxy {host}:{port}</pre>\
<h2>iOS</h2><p>Install the profile, then Settings → General → About → Certificate Trust Settings: switch it on.</p>\
<h2>Firefox, Chromium, others</h2><p>Firefox has a store of its own: Settings → Privacy &amp; Security → Certificates → Import. \
Others use that of the system.</p>\
<h2>The proxy</h2><p>Wi-Fi → this network → Proxy → Manual: host <code>{host}</code>, port <code>{port}</code>.</p>\
<h2>QUIC</h2><p>HTTP/3 runs over UDP port 443, which no proxy sees. Block it, and apps fall back to what can be read \
(<code>divulge device setup</code> does so):</p><pre>iptables -I OUTPUT -p udp --dport 443 -j REJECT\nip6tables -I OUTPUT -p udp --dport 443 -j REJECT</pre>\
<h2>Apps that do not connect</h2><p>Apps that pin their servers' certificates refuse ours once; after that their connections \
to that host are passed through unread, and the report lists them as pinned.</p></html>"
    )
}

fn page_zh(authority: &Authority, address: Option<SocketAddr>) -> String {
    let (host, port) = shown(address);
    let (fingerprint, hash) = (authority.fingerprint(), authority.subject_hash_old());
    format!(
        "<!doctype html><html lang=\"zh-CN\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
<title>divulge：设置本机</title><style>{STYLE}</style><nav><a href=\"/?lang=en\">English</a></nav>\
<h1>设置本机</h1>\
<p>您正在通过 <b>divulge</b> 的代理访问本页。divulge 用于查看应用发送了哪些数据。要读取 TLS 流量，本机须信任它的证书。\
请仅在测试机上安装，用完即删除。</p>\
<a class=\"get\" href=\"/ca.cer\">Android / iOS 证书（DER）</a>\
<p>其他格式：<a href=\"/ca.pem\">ca.pem</a>；Android 系统证书库：<a href=\"/{hash}.0\">{hash}.0</a></p>\
<p>SHA-256 指纹，请与终端所示核对：<br><code>{fingerprint}</code></p>\
<h2>Android</h2><p>设置 → 安全 → 加密与凭据 → 安装证书 → CA 证书。多数应用不信任用户安装的证书。手机已 root 并以 adb 连接时，\
下面的命令把证书放进系统证书库（Android 14 及以上亦可），重启后失效：</p><pre>divulge device setup --proxy {host}:{port}</pre>\
<h2>iOS</h2><p>安装描述文件后，在 设置 → 通用 → 关于本机 → 证书信任设置 中开启。</p>\
<h2>Firefox、Chromium 等</h2><p>Firefox 有自己的证书库：设置 → 隐私与安全 → 证书 → 导入。其他浏览器使用系统证书库。</p>\
<h2>代理</h2><p>WLAN → 当前网络 → 代理 → 手动：主机 <code>{host}</code>，端口 <code>{port}</code>。</p>\
<h2>QUIC</h2><p>HTTP/3 走 UDP 443 端口，代理看不到。将其阻断后应用会退回到可读取的协议（<code>divulge device setup</code> 会自动完成）：</p>\
<pre>iptables -I OUTPUT -p udp --dport 443 -j REJECT\nip6tables -I OUTPUT -p udp --dport 443 -j REJECT</pre>\
<h2>连不上的应用</h2><p>固定了服务器证书的应用会拒绝我们的证书一次，此后它到该主机的连接原样放行、不再读取，并在报告中列为 pinned。</p></html>"
    )
}

/// What to open on the phone, as a QR code for a terminal: two modules a character, light on dark as terminals mostly
/// are, with the margin that readers need. None where it would not fit into a code.
#[must_use]
pub fn qr(text: &str) -> Option<String> {
    use qrcode::{Color, EcLevel, QrCode};
    const MARGIN: usize = 2;
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let width = code.width();
    // Light modules are printed as blocks, so that the code is dark on light where the terminal is light on dark.
    let light = |x: usize, y: usize| {
        let inside = (MARGIN..width + MARGIN).contains(&x) && (MARGIN..width + MARGIN).contains(&y);
        !inside || code[(x - MARGIN, y - MARGIN)] == Color::Light
    };
    let size = width + 2 * MARGIN;
    let mut out = String::new();
    for y in (0..size).step_by(2) {
        for x in 0..size {
            out.push(match (light(x, y), y + 1 < size && light(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        out.push('\n');
    }
    Some(out)
}

/// Where the page is, for those who have the proxy set.
#[must_use]
pub fn portal_url() -> String {
    format!("http://{PORTAL_HOST}/")
}

#[cfg(test)]
mod tests {
    use super::{PortalRequest, answer, prefers_chinese, qr};
    use crate::proxy::{Authority, CreateOptions};

    fn get(target: &str, method: &str, language: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create(folder.path(), &CreateOptions::default()).unwrap();
        let target = target.replace("HASH", &authority.subject_hash_old());
        let request = PortalRequest { method, target: &target, accept_language: Some(language) };
        let answer = answer(&authority, &request, Some("192.0.2.1:8080".parse().unwrap()));
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[test]
    fn the_page_comes_in_the_readers_language_and_tells_where_the_proxy_is() {
        let english = get("/", "GET", "en-US,en;q=0.9,zh;q=0.8");
        assert!(english.contains("Set up this phone") && english.contains("<code>192.0.2.1</code>"));
        assert!(get("/", "GET", "zh-CN,zh;q=0.9,en;q=0.8").contains("设置本机"));
        assert!(get("/?lang=en", "GET", "zh-CN").contains("Set up this phone"));
        assert!(!english.contains("<script"));
        assert!(!prefers_chinese("") && !prefers_chinese("fr"));
    }

    #[test]
    fn files_are_served_and_nothing_else() {
        assert!(get("/ca.pem", "GET", "").contains("BEGIN CERTIFICATE"));
        assert!(get("/HASH.0", "GET", "").contains("BEGIN CERTIFICATE"));
        assert!(get("/ca.cer", "GET", "").contains("application/x-x509-ca-cert"));
        assert!(get("/", "HEAD", "").ends_with("\r\n\r\n"));
        assert!(get("/", "POST", "").starts_with("HTTP/1.1 405"));
        let missing = get("/<b>ca.key", "GET", "");
        assert!(missing.starts_with("HTTP/1.1 404") && !missing.contains("<b>"));
        for target in ["/", "/ca.pem", "/ca.cer", "/HASH.0"] {
            assert!(!get(target, "GET", "").contains("PRIVATE KEY"), "{target}");
        }
    }

    #[test]
    fn a_code_is_square_and_fits_a_terminal() {
        let code = qr("http://192.168.100.100:8080/").unwrap();
        let widths: Vec<usize> = code.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|&width| width == widths[0] && width <= 40));
        assert_eq!(widths.len(), widths[0].div_ceil(2));
        assert!(qr(&"x".repeat(4_000)).is_none());
    }
}
