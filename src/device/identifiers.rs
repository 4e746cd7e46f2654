//! What a phone can be recognised by: asked for in all the ways there are, and taken only if it has the form that such a
//! value has.

use super::error::DeviceError;
use super::packages::{Packages, USER_RANGE};
use super::parcel::parse_parcel;
use super::phone::Phone;
use super::wifi::parse_wifi;

/// SIM slots that are asked.
const SLOTS: u32 = 2;
/// Values that stand for none, in lower case. The last is the Android ID that many phones shared by mistake.
const PLACEHOLDERS: &[&str] = &["null", "none", "unknown", "n/a", "<none>", "<unknown ssid>", "9774d56d682e549c"];
/// The MAC address that Android shows to those who may not know.
const HIDDEN_MAC: &str = "02:00:00:00:00:00";

/// One key of the profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: &'static str,
    pub(super) data_type: &'static str,
    pub(super) values: Vec<String>,
    /// Why there is none, or what is to be known about them.
    pub(super) remark: Option<String>,
}

/// The identifiers of a phone, and the app they were read for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifiers {
    pub(super) entries: Vec<Entry>,
    pub(super) app: Option<(String, Vec<u32>)>,
}

impl Identifiers {
    /// Reads all that can be read from the phone; Android IDs as this app sees them.
    ///
    /// # Errors
    /// The phone is gone, or has no such app.
    pub fn read(phone: &Phone, app: Option<&str>) -> Result<Self, DeviceError> {
        let app = match app {
            None => None,
            Some(app) => match Packages::ask(phone)?.uids_of(app) {
                uids if uids.is_empty() => return Err(DeviceError::Unfit(format!("no app {app} on the phone"))),
                uids => Some((app.to_owned(), uids)),
            },
        };
        let mut reader = Reader { phone, entries: Vec::new() };
        reader.telephony()?;
        reader.property("serial_number", &["ro.serialno", "ro.boot.serialno"]);
        reader.android_id(app.as_ref())?;
        reader.advertising()?;
        reader.wifi()?;
        let bluetooth = reader.setting("secure", "bluetooth_address")?;
        reader.add("bluetooth_address", vec![bluetooth], is_mac, "not in the settings");
        reader.property("device_model", &["ro.product.model"]);
        reader.property("device_brand", &["ro.product.brand"]);
        let name = reader.setting("global", "device_name")?;
        reader.add("device_name", vec![name], |_| true, "not in the settings");
        Ok(Self { entries: reader.entries, app })
    }

    /// How many keys have a value.
    #[must_use]
    pub fn found(&self) -> usize {
        self.entries.iter().filter(|entry| !entry.values.is_empty()).count()
    }

    /// How many could not be read.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.entries.len() - self.found()
    }
}

struct Reader<'p> {
    phone: &'p Phone,
    entries: Vec<Entry>,
}

impl Reader<'_> {
    /// Takes those candidates that are real and have the form, each once.
    fn add(&mut self, key: &'static str, candidates: Vec<String>, fits: impl Fn(&str) -> bool, none: &str) {
        let mut values: Vec<String> = Vec::new();
        for value in candidates.iter().map(|value| value.trim()) {
            let known = values.iter().any(|known| known.eq_ignore_ascii_case(value));
            if is_real(value) && fits(value) && !known {
                values.push(value.to_owned());
            }
        }
        let placeholder = candidates.iter().find(|value| !value.trim().is_empty());
        let remark = values.is_empty().then(|| match placeholder {
            Some(value) if !is_real(value) => format!("the phone gives only the placeholder {value}"),
            _ => none.to_owned(),
        });
        self.entries.push(Entry { key, data_type: key, values, remark });
    }

    fn property(&mut self, key: &'static str, names: &[&str]) {
        let found = names.iter().filter_map(|name| self.phone.property(name)).map(str::to_owned).collect();
        self.add(key, found, |_| true, "no such property");
    }

    fn setting(&self, table: &str, name: &str) -> Result<String, DeviceError> {
        let answer = self.phone.shell(&format!("settings get {table} {name}"))?;
        let value = answer.out.trim();
        // `null` is how `settings` says that there is none.
        Ok(if answer.succeeded() && value != "null" { value.to_owned() } else { String::new() })
    }

    /// Output of a script that may well fail.
    fn try_root(&self, script: &str) -> Result<String, DeviceError> {
        match self.phone.root_shell(script) {
            Ok(answer) if answer.succeeded() => Ok(answer.out),
            Ok(_) | Err(DeviceError::NoRoot { .. } | DeviceError::Refused { .. } | DeviceError::TimedOut { .. }) => {
                Ok(String::new())
            }
            Err(error) => Err(error),
        }
    }

    /// A method of the phone's service for subscribers, for a slot or a subscription.
    fn subscriber(&self, code: u32, of: u32) -> Result<Result<String, String>, DeviceError> {
        // The package's name is that of the caller; where root is refused for it, shell may not be.
        let script = format!("service call iphonesubinfo {code} i32 {of} s16 com.android.shell");
        let first = parse_parcel(&self.phone.shell_as_best(&script)?.out);
        if first.is_ok() || self.phone.root.is_err() {
            return Ok(first);
        }
        let second = parse_parcel(&self.phone.shell(&script)?.out);
        Ok(second.or(first))
    }

    fn telephony(&mut self) -> Result<(), DeviceError> {
        let codes = Codes::of(self.phone.sdk());
        let mut reason = "the phone has no telephony".to_owned();
        let mut ids = Vec::new();
        for slot in 0..SLOTS {
            match self.subscriber(codes.imei, slot)? {
                Ok(id) => ids.push(id),
                Err(said) if slot == 0 => reason = said,
                Err(_) => {}
            }
        }
        let dump = self.phone.shell_as_best("dumpsys iphonesubinfo 2>/dev/null")?.out;
        ids.extend(dump.lines().filter_map(|line| Some(line.split_once("Device ID = ")?.1.trim().to_owned())));
        // Makers name the property as they like.
        let named = |part: &str| {
            let named = self.phone.properties.iter().filter(|(name, _)| name.contains(part));
            named.flat_map(|(_, value)| value.split(',')).map(str::to_owned).collect::<Vec<_>>()
        };
        let (imeis, meids) = (named("imei"), named("meid"));
        self.add("imei", [ids.clone(), imeis].concat(), is_imei, &reason);
        self.add("meid", [ids, meids].concat(), is_meid, "the phone has none, or tells none");
        self.subscriptions(&codes)
    }

    fn subscriptions(&mut self, codes: &Codes) -> Result<(), DeviceError> {
        let query = "content query --uri content://telephony/siminfo --projection _id:sim_id:icc_id:number";
        // The column of the IMSI is younger than the table.
        let mut rows = parse_rows(&self.try_root(&format!("{query}:imsi"))?);
        if rows.is_empty() {
            rows = parse_rows(&self.try_root(query)?);
        }
        rows.retain(|row| row.slot.is_some());
        let (mut imsis, mut iccids, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            let ways = [
                (&mut imsis, &row.imsi, codes.imsi, is_imsi as fn(&str) -> bool),
                (&mut iccids, &row.iccid, codes.iccid, is_iccid),
                (&mut numbers, &row.number, codes.number, is_phone_number),
            ];
            for (values, known, codes, fits) in ways {
                if fits(known) {
                    values.push(known.clone());
                    continue;
                }
                for code in codes {
                    let told = self.subscriber(*code, row.id)?.ok();
                    if let Some(told) = told.filter(|told| fits(told)) {
                        values.push(told);
                        break;
                    }
                }
            }
        }
        let reason = match (rows.is_empty(), &self.phone.root) {
            (_, Err(_)) => "needs root",
            (true, _) => "no SIM in the phone",
            (false, _) => "the phone does not tell",
        };
        self.add("imsi", imsis, is_imsi, reason);
        self.add("iccid", iccids, is_iccid, reason);
        let unknown = if reason == "the phone does not tell" { "the SIM does not know its number" } else { reason };
        self.add("phone_number", numbers, is_phone_number, unknown);
        Ok(())
    }

    fn android_id(&mut self, app: Option<&(String, Vec<u32>)>) -> Result<(), DeviceError> {
        let shared = self.setting("secure", "android_id")?;
        let Some((app, uids)) = app else {
            self.add("android_id", vec![shared], is_hex_id, "not in the settings");
            if let Some(entry) = self.entries.last_mut().filter(|entry| !entry.values.is_empty()) {
                entry.remark = Some("since Android 8 each app sees its own: --app PACKAGE reads that".to_owned());
            }
            return Ok(());
        };
        let mut found = Vec::new();
        let mut reason = "needs root".to_owned();
        if self.phone.root.is_ok() {
            reason = format!("{app} has not been given one yet: start it once, then read again");
            for user in uids.iter().map(|uid| uid / USER_RANGE) {
                let file = format!("/data/system/users/{user}/settings_ssaid.xml");
                let script = format!(
                    "f={file}; [ -r $f ] || exit 1\n\
                     if [ \"$(head -c 3 $f)\" = ABX ]; then command -v abx2xml >/dev/null || exit 9; abx2xml $f -; \
                     else cat $f; fi"
                );
                let answer = self.phone.root_shell(&script)?;
                match answer.status {
                    0 => found.extend(ssaid_of(&answer.out, app)),
                    9 => reason = format!("{file} is binary XML, and the phone has no abx2xml"),
                    _ => reason = format!("{file}: {}", answer.said()),
                }
            }
        }
        self.add("android_id", found, is_hex_id, &reason);
        self.entries.push(Entry {
            key: "android_id_of_phone",
            data_type: "android_id",
            values: vec![shared].into_iter().filter(|id| is_real(id) && is_hex_id(id)).collect(),
            remark: Some("what apps see that were there before Android 8, and the system's own".to_owned()),
        });
        Ok(())
    }

    fn advertising(&mut self) -> Result<(), DeviceError> {
        let file = "/data/data/com.google.android.gms/shared_prefs/adid_settings.xml";
        let xml = self.try_root(&format!("cat {file}"))?;
        let gaid = elements(&xml, "string").find(|(tag, _)| attribute(tag, "name") == Some("adid_key".to_owned()));
        let gaid = gaid.map(|(_, text)| text.to_owned()).into_iter().collect();
        let reason =
            if self.phone.root.is_ok() { "no Google Play services, or deleted by the user" } else { "needs root" };
        self.add("gaid", gaid, is_uuid, reason);
        // Huawei and Honor; Xiaomi; vivo. Other makers give it only to apps, through services.
        let mut oaids = vec![self.setting("global", "pps_oaid")?];
        for uri in ["content://com.miui.idprovider/oaid", "content://com.vivo.vms.IdProvider/IdentifierId/OAID"] {
            let answer = self.phone.shell_as_best(&format!("content query --uri {uri} 2>/dev/null"))?;
            // One row with one column, of whatever name.
            let row = answer.out.lines().find(|line| line.starts_with("Row: ")).unwrap_or_default();
            oaids.extend(row.rsplit_once('=').map(|(_, value)| value.to_owned()));
        }
        let reason = "not where Huawei, Xiaomi and vivo keep it; other makers tell it to apps only";
        self.add("oaid", oaids, is_oaid, reason);
        Ok(())
    }

    fn wifi(&mut self) -> Result<(), DeviceError> {
        let mut macs = Vec::new();
        let script = "cat /sys/class/net/wlan0/address 2>/dev/null || \
                      ip link show wlan0 2>/dev/null | grep -m 1 link/ether; true";
        let address = self.phone.shell_as_best(script)?.out;
        macs.extend(address.split_whitespace().find(|word| is_mac(word)).map(str::to_owned));
        let script = "dumpsys wifi 2>/dev/null | grep -m 4 mWifiInfo; cmd wifi status 2>/dev/null | grep SSID; true";
        let wifi = parse_wifi(&self.phone.shell_as_best(script)?.out);
        macs.push(wifi.mac);
        self.add("mac_address", macs, is_mac, "no wlan0, or not shown");
        self.add("ssid", vec![wifi.ssid], |_| true, "not in a Wi-Fi");
        self.add("bssid", vec![wifi.bssid], is_mac, "not in a Wi-Fi");
        Ok(())
    }
}

/// Numbers of the methods of the phone's service for subscribers. They differ by version, and makers add to them: where
/// there is more than one, the form of the answer decides.
struct Codes {
    imei: u32,
    imsi: &'static [u32],
    iccid: &'static [u32],
    number: &'static [u32],
}

impl Codes {
    fn of(sdk: u32) -> Self {
        match sdk {
            30.. => Self { imei: 4, imsi: &[10], iccid: &[14, 15], number: &[16, 17] },
            _ => Self { imei: 3, imsi: &[8], iccid: &[11, 12], number: &[13, 14] },
        }
    }
}

/// A subscription as the phone's table of SIMs has it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Row {
    id: u32,
    slot: Option<u32>,
    iccid: String,
    number: String,
    imsi: String,
}

/// Reads `content query`: `Row: 0 _id=1, sim_id=0, icc_id=…` a line.
fn parse_rows(text: &str) -> Vec<Row> {
    let line = |line: &str| {
        let (_, columns) = line.strip_prefix("Row: ")?.split_once(' ')?;
        let mut row = Row::default();
        for (name, value) in columns.split(", ").filter_map(|column| column.split_once('=')) {
            match name {
                "_id" => row.id = value.parse().ok()?,
                // Of a SIM that was taken out it is -1.
                "sim_id" => row.slot = value.parse().ok(),
                "icc_id" => value.clone_into(&mut row.iccid),
                "number" => value.clone_into(&mut row.number),
                "imsi" => value.clone_into(&mut row.imsi),
                _ => {}
            }
        }
        Some(row)
    };
    text.lines().filter_map(line).collect()
}

/// The Android ID of a package in the settings' XML.
fn ssaid_of(xml: &str, package: &str) -> Option<String> {
    let of_package = |(tag, _): &(&str, &str)| attribute(tag, "package").as_deref() == Some(package);
    elements(xml, "setting").find(of_package).and_then(|(tag, _)| attribute(tag, "value"))
}

/// Elements of a name: what stands in the tag, and the text up to the next one.
fn elements<'x>(xml: &'x str, name: &'x str) -> impl Iterator<Item = (&'x str, &'x str)> {
    xml.split('<').filter_map(move |part| {
        let (tag, text) = part.split_once('>')?;
        let attributes = tag.strip_prefix(name)?;
        attributes.starts_with(char::is_whitespace).then_some((attributes, text.trim()))
    })
}

/// An attribute of a tag. None of those that are read can hold an entity.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    loop {
        let (before, after) = rest.split_once('=')?;
        let quote = after.trim_start().chars().next().filter(|c| "'\"".contains(*c))?;
        let (_, after) = after.split_once(quote)?;
        let (value, after) = after.split_once(quote)?;
        if before.trim() == name {
            return Some(value.to_owned());
        }
        rest = after;
    }
}

/// Whether a value is one, and not what stands for none.
fn is_real(value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    let says_something = |c: char| c.is_alphanumeric() && c != '0';
    !PLACEHOLDERS.contains(&value.as_str())
        && value != HIDDEN_MAC
        && value != "ff:ff:ff:ff:ff:ff"
        && value.chars().any(says_something)
}

fn is_imei(value: &str) -> bool {
    let digits: Vec<u32> = value.chars().filter_map(|c| c.to_digit(10)).collect();
    let doubled = |(at, digit): (usize, &u32)| if at % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { *digit };
    value.len() == 15 && digits.len() == 15 && digits.iter().enumerate().map(doubled).sum::<u32>().is_multiple_of(10)
}

fn is_meid(value: &str) -> bool {
    value.len() == 14
        && value.chars().all(|c| c.is_ascii_hexdigit())
        && value.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn is_imsi(value: &str) -> bool {
    (14..=15).contains(&value.len()) && value.chars().all(|c| c.is_ascii_digit())
}

fn is_iccid(value: &str) -> bool {
    (18..=22).contains(&value.len()) && value.starts_with("89") && value.chars().all(|c| c.is_ascii_hexdigit())
}

fn is_phone_number(value: &str) -> bool {
    let digits = value.strip_prefix('+').unwrap_or(value);
    (5..=15).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit())
}

fn is_hex_id(value: &str) -> bool {
    (8..=16).contains(&value.len()) && value.chars().all(|c| c.is_ascii_hexdigit())
}

fn is_uuid(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [8, 4, 4, 4, 12] && parts.concat().chars().all(|c| c.is_ascii_hexdigit())
}

fn is_oaid(value: &str) -> bool {
    (15..=64).contains(&value.len()) && value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn is_mac(value: &str) -> bool {
    let parts: Vec<&str> = value.split(':').collect();
    parts.len() == 6 && parts.iter().all(|part| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_no_values() {
        for value in [
            "",
            "null",
            "unknown",
            "02:00:00:00:00:00",
            "00:00:00:00:00:00",
            "000000000000000",
            "00000000-0000-0000-0000-000000000000",
            "9774D56D682E549C",
            "<unknown ssid>",
        ] {
            assert!(!is_real(value), "{value}");
        }
        assert!(is_real("b7c1e5420d9fa683") && is_real("绿途") && is_real("0a"));
    }

    #[test]
    fn only_what_has_the_form_is_taken() {
        assert!(is_imei("867530040172932") && !is_imei("867530040172933") && !is_imei("86753004017293"));
        assert!(is_meid("A00000444512AB") && !is_meid("86753004017293"));
        assert!(is_iccid("898600810115F0387588") && !is_iccid("13900001234") && !is_iccid("460001234567890"));
        assert!(is_phone_number("+8613900001234") && !is_phone_number("China Mobile") && !is_phone_number(""));
        assert!(is_uuid("5d0c8a72-94e1-4f36-b2a7-1c6e09f3d845") && !is_uuid("5d0c8a7294e14f36b2a71c6e09f3d845"));
        assert!(is_mac("4A:3D:91:0C:E7:26") && !is_mac("4A:3D:91:0C:E7"));
    }

    #[test]
    fn sims_are_read_with_those_that_were_taken_out() {
        let text = "Row: 0 _id=1, sim_id=0, icc_id=89860081011512345678, number=+8613900001234, imsi=460001234567890\n\
                    Row: 1 _id=2, sim_id=-1, icc_id=8986, number=NULL, imsi=NULL\nNo result found.\n";
        let rows = parse_rows(text);
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].id, rows[0].slot, rows[0].imsi.as_str()), (1, Some(0), "460001234567890"));
        assert_eq!(rows[1].slot, None);
    }

    #[test]
    fn an_app_has_its_own_android_id() {
        let xml = "<?xml version='1.0'?>\n<settings version=\"-1\">\n\
            <setting id=\"0\" name=\"userkey\" value=\"AB>=C\" package=\"android\" defaultValue=\"x\" />\n\
            <setting id=\"7\" name=\"10101\" value=\"b7c1e5420d9fa683\" package=\"com.example.lvtu\" />\n</settings>";
        assert_eq!(ssaid_of(xml, "com.example.lvtu").as_deref(), Some("b7c1e5420d9fa683"));
        assert_eq!(ssaid_of(xml, "com.example"), None);
        assert_eq!(ssaid_of("ABX\0\u{1}", "com.example"), None);
    }
}
