//! Starting and stopping the proxy: a few threads, each with connections of its own.

use super::authority::Authority;
use super::config::{Config, ConfigError};
use super::listen::{self, Counts};
use super::shared::Shared;
use super::tap::Tap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::sync::watch;

/// More threads than this relay no faster on the machines testers have.
const THREADS_MAX: usize = 4;

/// A proxy that runs until it is stopped or dropped.
pub struct Proxy {
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    tap: Arc<Tap>,
    addresses: Vec<SocketAddr>,
}

impl Proxy {
    /// Listens and serves, on threads of its own.
    ///
    /// # Errors
    /// [`ConfigError`]: an open proxy, files that can't be used, addresses that can't be listened on.
    pub fn start(config: Config, authority: Arc<Authority>) -> Result<Self, ConfigError> {
        config.check()?;
        let mut config = config;
        let listeners: Vec<TcpListener> =
            config.listen.iter().map(|&address| listen::bind(address, &config)).collect::<Result<_, _>>()?;
        let addresses: Vec<SocketAddr> =
            listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>().map_err(ConfigError::Start)?;
        // Where port 0 was asked for, the real one counts from here on.
        config.listen.clone_from(&addresses);
        let tap = Tap::new();
        let count = thread::available_parallelism().map_or(1, std::num::NonZero::get).min(THREADS_MAX);
        let shared = Arc::new(Shared::new(config, authority, Arc::clone(&tap), addresses.clone())?);
        let counts = Arc::<Counts>::default();
        let (stop, stopped) = watch::channel(false);
        let mut proxy = Self { stop, threads: Vec::new(), tap, addresses };
        for number in 0..count {
            let listeners = listeners.iter().map(TcpListener::try_clone).collect::<Result<Vec<_>, _>>();
            let listeners = listeners.map_err(ConfigError::Start)?;
            let (shared, counts, mut stopped) = (Arc::clone(&shared), Arc::clone(&counts), stopped.clone());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .event_interval(31)
                .build()
                .map_err(ConfigError::Start)?;
            let work = move || {
                runtime.block_on(async move {
                    for listener in listeners {
                        match tokio::net::TcpListener::from_std(listener) {
                            Ok(listener) => {
                                tokio::spawn(listen::accept(Arc::clone(&shared), listener, Arc::clone(&counts)));
                            }
                            Err(error) => {
                                let kind = crate::model::IncidentKind::Refused;
                                shared.incident(kind, "proxy", None, format!("cannot listen: {error}"));
                            }
                        }
                    }
                    // Fails only where the sender is gone, which stops it too.
                    let _: Result<_, watch::error::RecvError> = stopped.wait_for(|&stop| stop).await;
                });
                // Connections end with the runtime, and tell the tap.
                drop(runtime);
            };
            let thread =
                thread::Builder::new().name(format!("proxy-{number}")).spawn(work).map_err(ConfigError::Start)?;
            proxy.threads.push(thread);
        }
        Ok(proxy)
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What it taps.
    #[must_use]
    pub fn tap(&self) -> Arc<Tap> {
        Arc::clone(&self.tap)
    }

    /// Ends all connections and waits for the threads; the tap is closed then.
    pub fn stop(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                debug_assert!(false, "a thread of the proxy panicked");
            }
        }
        self.tap.close();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}
