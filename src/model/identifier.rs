//! The known values of the test phone.

use super::DataType;
use std::sync::Arc;

/// A concrete value that is looked for in the traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier {
    /// What kind of data it is.
    pub data_type: DataType,
    /// The tester's name for it: the profile key, which is the data type id unless it is a label of their own.
    pub label: Arc<str>,
    /// The value as the profile writes it.
    pub value: Arc<str>,
}

/// A place on earth, WGS-84.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
    /// How far off a match may be, metres.
    pub radius_m: f64,
}

/// A device profile (`--profile device.toml`): what the test phone's identifiers are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// Values to look for, in the file's order.
    pub identifiers: Vec<Identifier>,
    /// Where the phone is or was, in the file's order.
    pub locations: Vec<Place>,
    /// `app.package`.
    pub package: Option<String>,
    /// `app.first_party`: registrable domains or hosts of the app's own servers.
    pub first_party: Vec<String>,
}
