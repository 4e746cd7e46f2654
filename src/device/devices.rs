//! Which phones adb sees, and which of them is meant.

use super::adb::Adb;
use super::error::DeviceError;

/// A line of `adb devices`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its serial number, or `host:port`.
    pub serial: String,
    /// `device` if it can be used.
    pub state: String,
}

/// Reads the answer to `adb devices`.
#[must_use]
pub fn parse_devices(text: &str) -> Vec<Listed> {
    let line = |line: &str| {
        // The server's own messages may stand before and after the list.
        if line.starts_with('*') || line.starts_with("List of devices") {
            return None;
        }
        let (serial, state) = line.split_once('\t').or_else(|| line.split_once(' '))?;
        Some(Listed { serial: serial.trim().to_owned(), state: state.trim().to_owned() })
    };
    text.lines().filter_map(line).collect()
}

/// The adb client of the phone that is meant, and its serial number.
///
/// # Errors
/// There is no adb, no phone, not that phone, more than one, or none that can be used.
pub fn choose(adb: &Adb, wanted: Option<&str>) -> Result<(Adb, String), DeviceError> {
    let answer = adb.call(&["devices"])?;
    let listed = parse_devices(&answer.into_out("adb devices")?);
    let serials = |listed: &[Listed]| listed.iter().map(|phone| phone.serial.clone()).collect::<Vec<_>>();
    let phone = match wanted {
        Some(serial) => listed
            .iter()
            .find(|phone| phone.serial == serial)
            .ok_or_else(|| DeviceError::Unknown { serial: serial.to_owned(), known: serials(&listed) })?,
        None => {
            // A phone that can't be used does not stand in the way of one that can.
            let usable: Vec<Listed> = listed.iter().filter(|phone| phone.state == "device").cloned().collect();
            match (listed.as_slice(), usable.as_slice()) {
                ([], _) => return Err(DeviceError::NoDevice),
                ([only], _) => only,
                (_, [only]) => return Ok((adb.clone().with_serial(&only.serial), only.serial.clone())),
                (several, _) => return Err(DeviceError::Several { serials: serials(several) }),
            }
        }
    };
    let serial = phone.serial.clone();
    match phone.state.as_str() {
        "device" => Ok((adb.clone().with_serial(&serial), serial)),
        "unauthorized" => Err(DeviceError::Unauthorized { serial }),
        "offline" => Err(DeviceError::Offline { serial }),
        state => Err(DeviceError::Unusable { serial, state: state.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_read_between_the_messages_of_the_server() {
        let text = "* daemon not running; starting now at tcp:5037\n* daemon started successfully\n\
                    List of devices attached\nR58M123ABC\tdevice\n192.168.1.7:5555\toffline\n\
                    emulator-5554          unauthorized\n0123\tno permissions (user in plugdev group); see [http://x]\n\n";
        let found: Vec<(String, String)> =
            parse_devices(text).into_iter().map(|phone| (phone.serial, phone.state)).collect();
        let wanted = [
            ("R58M123ABC", "device"),
            ("192.168.1.7:5555", "offline"),
            ("emulator-5554", "unauthorized"),
            ("0123", "no permissions (user in plugdev group); see [http://x]"),
        ];
        assert_eq!(found, wanted.map(|(serial, state)| (serial.to_owned(), state.to_owned())));
    }
}
