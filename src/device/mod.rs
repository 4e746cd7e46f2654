//! The test phone over adb: what is ready and what is not, its identifiers, and the set-up of the proxy's certificate
//! and routes, all of it undone by `restore` and, but for the global proxy, by a reboot.

mod adb;
mod certificate;
mod devices;
mod doctor;
mod error;
mod identifiers;
mod journal;
mod packages;
mod parcel;
mod phone;
mod profile;
mod proxy_setting;
mod quote;
mod restore;
mod root;
mod script;
mod setup;
mod step;
mod wifi;

pub use adb::{Adb, Answer};
pub use certificate::Certificate;
pub use devices::{Listed, choose, parse_devices};
pub use doctor::{Check, Examination, Question, Standing, examine};
pub use error::DeviceError;
pub use identifiers::Identifiers;
pub use journal::{Journal, create_private};
pub use packages::{Packages, USER_RANGE, parse_users};
pub use parcel::parse_parcel;
pub use phone::{Phone, parse_properties};
pub use proxy_setting::Setting;
pub use quote::quoted;
pub use restore::{Restored, leftovers, restore};
pub use root::Root;
pub use setup::{Endpoint, Plan, Wish, plan, set_up};
pub use step::{Family, Step, Table};
