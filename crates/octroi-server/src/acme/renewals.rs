//! Keeps a certificate for every host: orders what is missing and renews what grows old.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use instant_acme::{Account, NewAccount};
use octroi_telemetry::metrics::{self, OrderResult};
use octroi_telemetry::{chain, fields};
use tokio::sync::{Mutex, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::http::Client;
use super::order::order;
use super::schedule::Schedule;
use super::storage::{Storage, check_host};
use super::{AcmeError, AcmeOptions};
use crate::tls::{Certificate, Certificates, Challenges};

/// An order that takes longer has hung.
const ORDER_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// The clock is looked at this often at least, in case it was set.
const CLOCK_CHECK: Duration = Duration::from_secs(60 * 60);

/// The part of a server that keeps ACME certificates.
pub(crate) struct Renewals {
    authority: Arc<Authority>,
    hosts: watch::Sender<Vec<String>>,
    orders_max: usize,
}

/// What every order needs.
struct Authority {
    options: AcmeOptions,
    storage: Storage,
    certificates: Arc<Certificates>,
    challenges: Arc<Challenges>,
    /// Made or loaded by the first order that needs it.
    account: Mutex<Option<Account>>,
}

/// How one order ended.
type Ordered = Result<(Id, Result<Certificate, AcmeError>), JoinError>;

impl Renewals {
    /// Opens the storage and takes the certificates into use that are there.
    pub(crate) fn open(
        options: AcmeOptions,
        certificates: Arc<Certificates>,
        challenges: Arc<Challenges>,
    ) -> Result<Self, AcmeError> {
        for host in &options.hosts {
            check_host(host)?;
        }
        let storage = Storage::open(&options.folder, &options.directory_url)?;
        for host in &options.hosts {
            match storage.certificate(host) {
                Ok(Some(certificate)) => certificates.issue(host, certificate),
                Ok(None) => {}
                // It will be ordered anew; the gate starts without it.
                Err(error) => {
                    let error = chain(&error);
                    warn!({ fields::HOST } = host, { fields::ERROR } = %error,
                        "a stored certificate cannot be used");
                }
            }
        }
        Ok(Self {
            hosts: watch::Sender::new(options.hosts.clone()),
            orders_max: options.orders_max.max(1),
            authority: Arc::new(Authority {
                options,
                storage,
                certificates,
                challenges,
                account: Mutex::new(None),
            }),
        })
    }

    /// Replaces the hosts; those that cannot be ordered are left out and logged.
    pub(crate) fn set_hosts(&self, hosts: Vec<String>) {
        let (good, bad): (Vec<_>, Vec<_>) =
            hosts.into_iter().partition(|host| check_host(host).is_ok());
        for host in bad {
            warn!(
                { fields::HOST } = host,
                "no certificate can be ordered for this name"
            );
        }
        self.hosts.send_replace(good);
    }

    /// Orders and renews until told to stop; orders under way are then given up.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let mut hosts = self.hosts.subscribe();
        let mut schedule = Schedule::default();
        self.reschedule(&mut schedule, &mut hosts);
        let mut orders = JoinSet::new();
        let mut running = HashMap::new();
        loop {
            while orders.len() < self.orders_max
                && let Some(host) = schedule.start_due(SystemTime::now())
            {
                let authority = Arc::clone(&self.authority);
                let task = orders.spawn(authority.obtain(host.clone()));
                running.insert(task.id(), host);
            }
            // While all places are taken, only the end of an order changes anything.
            let wake = match schedule.next_due() {
                Some(due) if orders.len() < self.orders_max => {
                    let wait = due.duration_since(SystemTime::now());
                    wait.unwrap_or_default().min(CLOCK_CHECK)
                }
                _ => CLOCK_CHECK,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                _ = hosts.changed() => self.reschedule(&mut schedule, &mut hosts),
                Some(ordered) = orders.join_next_with_id() => {
                    finish(ordered, &mut running, &mut schedule);
                }
                () = tokio::time::sleep(wake) => {}
            }
        }
    }

    fn reschedule(&self, schedule: &mut Schedule, hosts: &mut watch::Receiver<Vec<String>>) {
        let hosts = hosts.borrow_and_update().clone();
        let stored = |host: &str| self.authority.stored_validity(host);
        schedule.set_hosts(hosts, SystemTime::now(), stored);
    }
}

/// Notes the end of an order.
fn finish(ordered: Ordered, running: &mut HashMap<Id, String>, schedule: &mut Schedule) {
    let (id, result) = match ordered {
        Ok(ordered) => ordered,
        Err(error) => (error.id(), Err(AcmeError::GivenUp)),
    };
    let Some(host) = running.remove(&id) else {
        return;
    };
    match result {
        Ok(certificate) => {
            metrics::certificate_ordered(OrderResult::Issued);
            info!({ fields::HOST } = host, "a certificate was issued");
            schedule.succeeded(&host, certificate.not_before, certificate.not_after);
        }
        Err(error) => {
            metrics::certificate_ordered(OrderResult::Failed);
            let error = chain(&error);
            warn!({ fields::HOST } = host, { fields::ERROR } = %error, "no certificate was issued");
            schedule.failed(&host, SystemTime::now());
        }
    }
}

impl Authority {
    /// The validity of a host's certificate, if there is one that can be used.
    fn stored_validity(&self, host: &str) -> Option<(SystemTime, SystemTime)> {
        let certificate = self.storage.certificate(host).ok()??;
        let validity = (certificate.not_before, certificate.not_after);
        self.certificates.issue(host, certificate);
        Some(validity)
    }

    /// Orders a certificate, keeps it and takes it into use.
    async fn obtain(self: Arc<Self>, host: String) -> Result<Certificate, AcmeError> {
        let work = async {
            let account = self.account().await?;
            let kind = self.options.challenge;
            order(&account, &host, kind, &self.challenges).await
        };
        let limit = ORDER_TIMEOUT;
        let pem = timeout(limit, work)
            .await
            .map_err(|_| AcmeError::TimedOut { limit })??;
        let path = self.storage.certificate_path(&host);
        let certificate = Certificate::from_pem(&path, pem.as_bytes(), pem.as_bytes())
            .map_err(AcmeError::Certificate)?;
        self.certificates.issue(&host, certificate.clone());
        // In use before it is kept: a full disk must not cost the host its certificate.
        self.storage.save_certificate(&host, pem.as_bytes())?;
        Ok(certificate)
    }

    async fn account(&self) -> Result<Account, AcmeError> {
        let mut slot = self.account.lock().await;
        if let Some(account) = &*slot {
            return Ok(account.clone());
        }
        let client = Box::new(Client(Arc::clone(&self.options.http)));
        let builder = Account::builder_with_http(client);
        let account = if let Some(credentials) = self.storage.account()? {
            let account = builder.from_credentials(credentials).await;
            account.map_err(AcmeError::Authority)?
        } else {
            let contacts: Vec<_> = self.options.contacts.iter().map(String::as_str).collect();
            let new = NewAccount {
                contact: &contacts,
                terms_of_service_agreed: true,
                only_return_existing: false,
            };
            let directory = self.options.directory_url.clone();
            let created = builder.create(&new, directory, None).await;
            let (account, credentials) = created.map_err(AcmeError::Authority)?;
            self.storage.save_account(&credentials)?;
            account
        };
        Ok(slot.insert(account).clone())
    }
}
