//! The Wi-Fi that the phone is in, as `dumpsys wifi` and `cmd wifi status` tell.

/// What one line of either tells; what is not known is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wifi {
    pub(super) ssid: String,
    pub(super) bssid: String,
    pub(super) mac: String,
}

/// Reads the first line that names a network: `… SSID: "name", BSSID: 02:…, MAC: 02:…, …`. A name may hold anything but is
/// always followed by the BSSID.
pub(super) fn parse_wifi(text: &str) -> Wifi {
    let line = |line: &str| {
        let (_, rest) = line.split_once("SSID: ")?;
        let (ssid, rest) = rest.split_once(", BSSID: ")?;
        let bssid = rest.split(',').next().unwrap_or_default();
        let mac = rest.split_once("MAC: ").map_or("", |(_, mac)| mac.split(',').next().unwrap_or_default());
        let ssid = ssid.strip_prefix('"').and_then(|ssid| ssid.strip_suffix('"')).unwrap_or(ssid);
        if ssid.starts_with('<') && bssid.starts_with('<') {
            return None;
        }
        Some(Wifi { ssid: ssid.to_owned(), bssid: bssid.trim().to_owned(), mac: mac.trim().to_owned() })
    };
    text.lines().find_map(line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_telling_are_read() {
        let wanted = Wifi {
            ssid: "a, \"b\" 绿".to_owned(),
            bssid: "4a:3d:91:a0:11:7c".to_owned(),
            mac: "4a:3d:91:0c:e7:26".to_owned(),
        };
        for text in [
            "mWifiInfo SSID: <unknown ssid>, BSSID: <none>, MAC: 02:00:00:00:00:00\n\
             mWifiInfo SSID: \"a, \"b\" 绿\", BSSID: 4a:3d:91:a0:11:7c, MAC: 4a:3d:91:0c:e7:26, IP: /10.0.0.7, Net ID: 0\n",
            "Wifi is connected to \"a, \"b\" 绿\"\nWifiInfo: SSID: \"a, \"b\" 绿\", BSSID: 4a:3d:91:a0:11:7c, \
             MAC: 4a:3d:91:0c:e7:26, Supplicant state: COMPLETED\n",
        ] {
            assert_eq!(parse_wifi(text), wanted, "{text}");
        }
        let plain = "mWifiInfo SSID: AndroidWifi, BSSID: 02:00:00:00:01:00, MAC: 02:00:00:44:55:66, Supplicant";
        assert_eq!(parse_wifi(plain).ssid, "AndroidWifi");
        assert_eq!(parse_wifi("Wifi is disabled\n"), Wifi::default());
    }
}
