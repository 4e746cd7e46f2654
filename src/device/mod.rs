//! The test phone over adb: what is ready and what is not, its identifiers, and the set-up of the proxy's certificate
//! and routes, all of it undone by `restore` and by a reboot.
