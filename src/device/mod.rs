//! The test phone over adb: what is ready and what is not, its identifiers, and the set-up of the proxy's certificate
//! and routes, all of it undone by `restore` and, but for the global proxy, by a reboot.

mod adb;
mod devices;
mod error;
mod phone;
mod quote;
mod root;

pub use adb::{Adb, Answer};
pub use devices::{Listed, choose, parse_devices};
pub use error::DeviceError;
pub use phone::{Phone, parse_properties};
pub use quote::quoted;
pub use root::Root;
