//! Identifies objects by the names that the Microkit tool gives (`capdl/util.rs` and `capdl/builder.rs`).

use super::format::Object as Kind;
use crate::capability::{Object, Private, Subject};

/// Identifies an object by the name that the Microkit tool gave it.
pub(super) fn label(object: &Kind, name: &str) -> Object {
    let after = |prefix: &str| name.strip_prefix(prefix).map(Subject::named);
    let known = match object {
        Kind::Tcb(_) => after("tcb_").map(Object::Tcb),
        Kind::Notification => after("ntfn_").map(Object::Notification),
        Kind::Endpoint if name == "ep_fault_monitor" => Some(Object::Endpoint(Subject::Monitor)),
        Kind::Endpoint => after("ep_").map(Object::Endpoint),
        Kind::Reply => after("reply_").map(Object::Reply),
        Kind::SchedContext(_) => after("sched_context_").map(Object::SchedContext),
        Kind::CNode(_) if name == "cnode_monitor" => Some(Object::RootCNode(Subject::Monitor)),
        Kind::CNode(_) => {
            name.strip_prefix("cnode_")
                .map(|rest| match rest.strip_suffix("_root") {
                    Some(subject) => Object::RootCNode(Subject::named(subject)),
                    None => Object::CNode(Subject::named(rest)),
                })
        }
        Kind::PageTable(table) if table.is_root => {
            let subject = name
                .split_once('_')
                .map(|(_, subject)| Subject::named(subject));
            subject.map(Object::VSpace)
        }
        Kind::ArmIrq(_) | Kind::RiscvIrq(_) => {
            let rest = name
                .strip_prefix("irq_")
                .and_then(|rest| rest.split_once('_'));
            rest.and_then(|(number, _)| number.parse().ok())
                .map(Object::Irq)
        }
        Kind::Frame(_) => name.strip_prefix("frame_").and_then(frame_label),
        _ => None,
    };
    known.unwrap_or_else(|| Object::Other {
        kind: object.kind().to_owned(),
        name: name.to_owned(),
    })
}

fn frame_label(name: &str) -> Option<Object> {
    let private = |of: &str, what, page| {
        let of = Subject::named(of);
        Object::Private { of, what, page }
    };
    if let Some(of) = name.strip_prefix("ipcbuf_") {
        return Some(private(of, Private::IpcBuffer, 0));
    }
    if name == "monitor_stack" {
        return Some(private("monitor", Private::Stack, 0));
    }
    let (rest, number) = name.rsplit_once('_')?;
    let page = number.parse().ok()?;
    if let Some(name) = rest.strip_prefix("mr_") {
        let name = name.to_owned();
        return Some(Object::Region { name, page });
    }
    if let Some(of) = rest.strip_prefix("elf_") {
        return Some(private(of, Private::Program, 0));
    }
    let of = rest.strip_suffix("_stack")?;
    Some(private(of, Private::Stack, page))
}
