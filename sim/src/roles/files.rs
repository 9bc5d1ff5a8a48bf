//! Files: the file system of the disk.

use super::endpoint;
use crate::pd::{Component, Environment, Ids, Notifier, SetupError};
use core::convert::Infallible;
use core::future::Future;
use core::pin::Pin;
use files::{Links, serve};
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};

struct Port {
    audit: Notifier,
    disk: Notifier,
}

impl files::Port for Port {
    fn notify_audit(&mut self) {
        self.audit.notify();
    }

    fn notify_disk(&mut self) {
        self.disk.notify();
    }
}

struct Domain {
    links: &'static Links<ReadOnlyRegion, ReadWriteRegion>,
    service: Pin<Box<dyn Future<Output = Infallible>>>,
    port: Port,
}

pub(super) fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let audit = endpoint(env, "audit_to_files", "files_to_audit")?;
    let disk = endpoint(env, "disk_to_files", "files_to_disk")?;
    let port = Port {
        audit: env.notifier(env.number("audit_channel")?)?,
        disk: env.notifier(env.number("disk_channel")?)?,
    };
    let links = &*Box::leak(Box::new(Links::new(audit, disk)));
    Ok(Box::new(Domain {
        links,
        service: Box::pin(serve(links)),
        port,
    }))
}

impl Component for Domain {
    fn notified(&mut self, _: Ids) {
        self.links.poll(self.service.as_mut(), &mut self.port);
    }
}
