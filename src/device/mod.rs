//! The test phone over adb: what is ready and what is not, its identifiers, and the set-up of the proxy's certificate
//! and routes, all of it undone by `restore` and, but for the global proxy, by a reboot.
//!
//! [`Phone::connect`] finds the phone and the way to be root on it. [`plan`] turns a [`Wish`] into [`Step`]s, which
//! [`set_up`] writes into the [`Journal`] one by one before it does them, and [`restore`] undoes. [`examine`] looks at
//! all that is needed; [`Identifiers`] are what the phone can be recognised by, as a device profile. [`Apps`] tells for
//! as long as it lives which app a connection of the phone belongs to.

mod adb;
mod apps;
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
mod sockets;
mod step;
mod wifi;

pub use adb::{Adb, Answer};
pub use apps::{Apps, Watch};
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
pub use sockets::{Socket, parse_sockets};
pub use step::{Family, Step, Table};
