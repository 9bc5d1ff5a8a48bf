//! The authority graph: who can affect whom, directly and through others.
//!
//! A *flow* from A to B is a way for A to change what B sees. Every capability that can carry a flow counts, even if
//! Microkit's table says that nothing comes of it. The only exception is a wait on a notification bound to another
//! thread, because the kernel refuses it.

use crate::capability::{Bound, Object, Place, Subject};
use crate::policy::Policy;
use crate::view::View;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

/// A node of the graph: a subject, or a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// A domain or the monitor.
    Subject(Subject),
    /// A device by its name in the policy, or by its region or interrupt.
    Device(String),
}

/// The means of a flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// One writes, the other reads.
    Region(String),
    /// A notification.
    Signal,
    /// A message, a fault or the answer to one.
    Endpoint(Subject),
    /// One holds the other's TCB.
    Control,
    /// Registers or the interrupt of a device.
    Device,
    /// A shared page outside all regions.
    Private(Subject),
}

/// A direct right of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Right {
    Read,
    Write,
    Execute,
    Notify,
    Call,
    FaultTo,
    Control,
    Interrupt,
}

/// The graph.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Direct rights: to regions, subjects and interrupts, by name.
    pub rights: BTreeMap<Subject, BTreeMap<Right, BTreeSet<String>>>,
    /// Direct flows.
    pub flows: BTreeMap<Node, BTreeMap<Node, BTreeSet<By>>>,
    /// The core that each subject runs on.
    cores: BTreeMap<Subject, u64>,
}

impl Graph {
    /// The graph of a view. The policy names the devices.
    #[must_use]
    pub fn of(view: &View, policy: &Policy) -> Self {
        let mut graph = Self::default();
        for thread in &view.threads {
            let subject = &thread.subject;
            graph.cores.insert(subject.clone(), thread.core);
            graph.rights.entry(subject.clone()).or_default();
            graph
                .flows
                .entry(Node::Subject(subject.clone()))
                .or_default();
        }
        graph.regions(view, policy);
        graph.objects(view, policy);
        graph
    }

    fn right(&mut self, subject: &Subject, right: Right, to: &str) {
        let rights = self.rights.entry(subject.clone()).or_default();
        rights.entry(right).or_default().insert(to.to_owned());
    }

    fn flow(&mut self, from: Node, to: Node, by: By) {
        if from != to {
            self.flows.entry(to.clone()).or_default();
            let targets = self.flows.entry(from).or_default();
            targets.entry(to).or_default().insert(by);
        }
    }

    fn regions(&mut self, view: &View, policy: &Policy) {
        for (name, mappings) in view.regions() {
            for mapping in &mappings {
                let rights = [
                    (mapping.read, Right::Read),
                    (mapping.write, Right::Write),
                    (mapping.execute, Right::Execute),
                ];
                for (_, right) in rights.iter().filter(|(has, _)| *has) {
                    self.right(mapping.subject, *right, name);
                }
                if let Some(device) = policy.device_of_region(name) {
                    let device = Node::Device(device.name.clone());
                    let subject = Node::Subject(mapping.subject.clone());
                    if mapping.read {
                        self.flow(device.clone(), subject.clone(), By::Device);
                    }
                    if mapping.write {
                        self.flow(subject, device, By::Device);
                    }
                }
            }
            for writer in mappings.iter().filter(|mapping| mapping.write) {
                let readers = mappings
                    .iter()
                    .filter(|mapping| mapping.read || mapping.execute);
                for reader in readers {
                    self.flow(
                        Node::Subject(writer.subject.clone()),
                        Node::Subject(reader.subject.clone()),
                        By::Region(name.to_owned()),
                    );
                }
            }
        }
    }

    fn objects(&mut self, view: &View, policy: &Policy) {
        let node = |subject: &Subject| Node::Subject(subject.clone());
        let mut endpoints: BTreeMap<&Subject, Vec<(&Subject, bool, bool)>> = BTreeMap::new();
        let mut private: BTreeMap<&Object, Vec<(&Subject, bool)>> = BTreeMap::new();
        for capability in &view.capabilities {
            let holder = &capability.holder;
            let rights = capability.rights;
            match (&capability.object, &capability.place) {
                (Object::Notification(_), Place::Bound(_) | Place::Delivery { .. }) => {}
                (Object::Notification(of), _) if rights.write && of != holder => {
                    self.right(holder, Right::Notify, of.name());
                    self.flow(node(holder), node(of), By::Signal);
                }
                (Object::Endpoint(of), place) => {
                    endpoints
                        .entry(of)
                        .or_default()
                        .push((holder, rights.read, rights.write));
                    if matches!(place, Place::Bound(Bound::FaultEndpoint)) {
                        self.right(holder, Right::FaultTo, of.name());
                    } else if rights.write && of != holder {
                        self.right(holder, Right::Call, of.name());
                    }
                }
                (Object::Tcb(of), Place::Slot(_) | Place::RootSlot(_) | Place::Foreign { .. })
                    if of != holder =>
                {
                    self.right(holder, Right::Control, of.name());
                    self.flow(node(holder), node(of), By::Control);
                    self.flow(node(of), node(holder), By::Control);
                }
                (Object::Irq(number), _) => {
                    self.right(holder, Right::Interrupt, &number.to_string());
                    let device = policy.device_of_irq(*number);
                    let device =
                        device.map_or(format!("IRQ {number}"), |device| device.name.clone());
                    self.flow(Node::Device(device.clone()), node(holder), By::Device);
                    self.flow(node(holder), Node::Device(device), By::Device);
                }
                (Object::Private { .. }, _) => {
                    private
                        .entry(&capability.object)
                        .or_default()
                        .push((holder, rights.write));
                }
                _ => {}
            }
        }
        for (of, holders) in endpoints {
            for (sender, _, write) in &holders {
                for (receiver, read, _) in &holders {
                    if *write && *read && sender != receiver {
                        let by = || By::Endpoint(of.clone());
                        self.flow(node(sender), node(receiver), by());
                        // The reply.
                        self.flow(node(receiver), node(sender), by());
                    }
                }
            }
        }
        for (object, holders) in private {
            for (writer, write) in &holders {
                for (reader, _) in holders
                    .iter()
                    .filter(|(reader, _)| *write && reader != writer)
                {
                    let by = By::Private(object.owner().unwrap_or(writer).clone());
                    self.flow(node(writer), node(reader), by);
                }
            }
        }
    }

    /// The shortest path of flows without a node for which `avoid` holds; `None` if there is none. A message on an
    /// endpoint goes through the endpoint's owner, which is first in its queue whenever somebody on its own core sends
    /// (row M2). A message from another core can arrive while the owner is busy, and then goes to any other receiver.
    #[must_use]
    pub fn path(&self, from: &Node, to: &Node, avoid: impl Fn(&Node) -> bool) -> Option<Vec<Node>> {
        let mut before: BTreeMap<&Node, &Node> = BTreeMap::new();
        let mut queue = VecDeque::from([from]);
        while let Some(node) = queue.pop_front() {
            for (next, by) in self.flows.get(node).into_iter().flatten() {
                if next == from || before.contains_key(next) || (next != to && avoid(next)) {
                    continue;
                }
                let passes_avoided = |by: &By| match by {
                    By::Endpoint(of) => {
                        let owner = Node::Subject(of.clone());
                        let on_its_core = |node: &Node| match node {
                            Node::Subject(subject) => self.cores.get(subject) == self.cores.get(of),
                            Node::Device(_) => false,
                        };
                        owner != *node
                            && owner != *next
                            && on_its_core(node)
                            && on_its_core(next)
                            && avoid(&owner)
                    }
                    _ => false,
                };
                if by.iter().all(passes_avoided) {
                    continue;
                }
                before.insert(next, node);
                if next == to {
                    let mut path = vec![to.clone()];
                    let mut at = to;
                    while let Some(previous) = before.get(at) {
                        path.push((*previous).clone());
                        at = previous;
                    }
                    path.reverse();
                    return Some(path);
                }
                queue.push_back(next);
            }
        }
        None
    }

    /// The subjects that could make a subject do anything: those that hold its TCB, and so on upwards.
    #[must_use]
    pub fn controllers(&self, subject: &Subject) -> BTreeSet<Subject> {
        let mut found = BTreeSet::new();
        let mut of = vec![subject.clone()];
        while let Some(next) = of.pop() {
            for (holder, rights) in &self.rights {
                let controls = rights.get(&Right::Control);
                if controls.is_some_and(|to| to.contains(next.name()))
                    && found.insert(holder.clone())
                {
                    of.push(holder.clone());
                }
            }
        }
        found
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(subject) => subject.fmt(f),
            Self::Device(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(name) => write!(f, "region {name}"),
            Self::Signal => f.write_str("notification"),
            Self::Endpoint(of) => write!(f, "{of}'s endpoint"),
            Self::Control => f.write_str("TCB"),
            Self::Device => f.write_str("device"),
            Self::Private(of) => write!(f, "{of}'s memory"),
        }
    }
}
