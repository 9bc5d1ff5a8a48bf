//! Runs the checker on changed inputs and judges its messages.

use crate::two_clients;
use isolation::capdl::format::{Cap, CapBody, Object, Rights, Slot};
use isolation::capdl::{self, Spec};
use isolation::microkit::Configuration;
use isolation::policy::{Policy, PolicyError, layers};
use isolation::report::{Report, Subjects};
use libtest_mimic::Failed;
use std::sync::LazyLock;
use sysdesc::{Board, System};

/// The system's description, with the numbers of the board that the fixture's image is for.
pub static SYSTEM: LazyLock<String> = LazyLock::new(|| {
    let described = include_str!("../../../../system.xml");
    Board::usual().resolve(described).unwrap()
});
const FIXTURE_SYSTEM: &str = include_str!("../fixtures/system.xml");
const FIXTURE: &str = include_str!("../fixtures/capdl.json");
const CORES_SYSTEM: &str = include_str!("../fixtures/cores.xml");
const CORES: &str = include_str!("../fixtures/cores.json");
const TWO: &str = include_str!("../fixtures/two-clients.json");

pub const POLICY_TEXT: &str = include_str!("../../policy.toml");

/// Adapts a policy to the fixture, whose arena, store, adapters and formats are small.
fn of_fixture(policy: &str) -> String {
    let mut text = policy.replace("least = 0x80_0000", "least = 0x1_0000");
    for region in ["adapters", "formats"] {
        let least = |bytes| format!("name = \"{region}\"\nbytes = {{ least = {bytes}");
        text = replace(&text, &least("0x10_0000"), &least("0x1_0000"));
    }
    text
}

static POLICY: LazyLock<Policy> = LazyLock::new(|| Policy::parse(POLICY_TEXT).unwrap());
/// The policy for the fixture.
static FIXTURE_POLICY: LazyLock<Policy> =
    LazyLock::new(|| Policy::parse(&of_fixture(POLICY_TEXT)).unwrap());
static FIXTURE_SPEC: LazyLock<Spec> = LazyLock::new(|| Spec::read(FIXTURE.as_bytes()).unwrap());
/// The policy for the fixture with two clients.
static TWO_POLICY: LazyLock<Policy> =
    LazyLock::new(|| Policy::parse(&two_clients::policy(&of_fixture(POLICY_TEXT))).unwrap());
static TWO_SPEC: LazyLock<Spec> = LazyLock::new(|| Spec::read(TWO.as_bytes()).unwrap());

/// The policy for the fixture of systems/cores.
static CORES_POLICY: LazyLock<Policy> =
    LazyLock::new(|| layered(&of_fixture(POLICY_TEXT), crate::cores::ADDED).unwrap());
static CORES_SPEC: LazyLock<Spec> = LazyLock::new(|| Spec::read(CORES.as_bytes()).unwrap());

/// A change to an image: its name, what it does, the claims that it must violate, words of one message.
pub type Mutation = (
    &'static str,
    fn(&mut Image),
    &'static [&'static str],
    &'static [&'static str],
);

pub const READ_WRITE: Rights = Rights {
    read: true,
    write: true,
    grant: false,
    grant_reply: false,
};

/// How a mutation must be caught: the claim, or `refused` if the reader rejects it, and words that its messages
/// contain.
pub struct Caught {
    pub claims: &'static [&'static str],
    pub words: &'static [&'static str],
}

/// Every violation as `claim: text`, or the reader's error.
pub fn check_description(text: &str) -> Vec<String> {
    match System::parse(text) {
        Ok(system) => report(&system, &POLICY, None),
        Err(error) => vec![format!("refused: {error}")],
    }
}

/// The same with another policy, which may also be refused.
pub fn check_with(text: &str, policy: &str) -> Vec<String> {
    judge(text, Policy::parse(policy))
}

/// The same with a layer: what a system adds to the policy or changes in it.
pub fn check_with_layer(text: &str, layer: &str) -> Vec<String> {
    judge(text, layered(POLICY_TEXT, layer))
}

fn layered(base: &str, layer: &str) -> Result<Policy, PolicyError> {
    let layers = [layers::read(base)?, layers::read(layer)?];
    Policy::of_layers(layers, &Board::usual())
}

fn judge(text: &str, policy: Result<Policy, PolicyError>) -> Vec<String> {
    let refused = |error: &dyn std::fmt::Display| vec![format!("refused: {error}")];
    let policy = match policy {
        Ok(policy) => policy,
        Err(error) => return refused(&error),
    };
    match System::parse(text) {
        Ok(system) => report(&system, &policy, None),
        Err(error) => refused(&error),
    }
}

/// Every violation as `claim: text`.
pub fn check_image(spec: &Spec) -> Vec<String> {
    let system = System::parse(FIXTURE_SYSTEM).unwrap();
    report(&system, &FIXTURE_POLICY, Some(spec))
}

/// The same for the fixture in time partitions, by the plan of systems/partitions.
pub fn check_image_in_partitions(spec: &Spec) -> Vec<String> {
    let plan = include_str!("../../../../systems/partitions/plan.toml");
    let plan = sysdesc::partitions::Plan::parse(plan).unwrap();
    let described = include_str!("../fixtures/system.xml");
    let described = Board::usual().resolve(&plan.apply(described).unwrap());
    let system = System::parse(&described.unwrap()).unwrap();
    let policy = layered(&of_fixture(POLICY_TEXT), crate::partitions::ADDED);
    report(&system, &policy.unwrap(), Some(spec))
}

/// The same for the system with two clients.
pub fn check_image_of_two(spec: &Spec) -> Vec<String> {
    let system = System::parse(&two_clients::system(FIXTURE_SYSTEM)).unwrap();
    report(&system, &TWO_POLICY, Some(spec))
}

/// The same for the fixture of systems/cores.
pub fn check_image_of_cores(spec: &Spec) -> Vec<String> {
    let system = System::parse(CORES_SYSTEM).unwrap();
    report(&system, &CORES_POLICY, Some(spec))
}

fn report(system: &System, policy: &Policy, spec: Option<&Spec>) -> Vec<String> {
    let report = Report::of(Subjects {
        system,
        policy,
        programs: None,
        image: spec.map(|spec| capdl::view(spec, sysdesc::Arch::Aarch64)),
        board: &Board::usual(),
        kernel: None,
        configuration: Configuration::Release,
    });
    let violations: Vec<_> = report
        .violations()
        .map(|(claim, text)| format!("{}: {text}", claim.id()))
        .collect();
    assert_eq!(report.holds(), violations.is_empty(), "{violations:#?}");
    violations
}

pub fn unchanged() -> Result<(), Failed> {
    let mut violations = check_description(&SYSTEM);
    violations.extend(check_image(&FIXTURE_SPEC));
    violations.extend(check_image_of_two(&TWO_SPEC));
    none(&violations)
}

pub fn none(violations: &[String]) -> Result<(), Failed> {
    if violations.is_empty() {
        return Ok(());
    }
    Err(format!("flagged:\n{}", violations.join("\n")).into())
}

impl Caught {
    pub fn judge(&self, violations: &[String]) -> Result<(), Failed> {
        let said = violations.join("\n");
        for claim in self.claims {
            if !violations
                .iter()
                .any(|text| text.starts_with(&format!("{claim}: ")))
            {
                return Err(format!("no violation of {claim}, but:\n{said}").into());
            }
        }
        // One message must have all of the words, because a reader may see only that one.
        let named = |text: &String| self.words.iter().all(|word| text.contains(word));
        if !violations.iter().any(named) {
            return Err(format!("no message has all of {:?}:\n{said}", self.words).into());
        }
        Ok(())
    }
}

/// The text with `from`, which must occur exactly once, replaced.
pub fn replace(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "'{from}' must be there once");
    text.replace(from, to)
}

/// The text with each of these replaced in turn, as by [`replace`].
pub fn changed(text: &str, changes: &[(&str, &str)]) -> String {
    changes
        .iter()
        .fold(text.to_owned(), |text, (from, to)| replace(&text, from, to))
}

/// The capDL of the fixture, with short ways to change it.
pub struct Image {
    pub spec: Spec,
}

impl Image {
    pub fn new() -> Self {
        let spec = FIXTURE_SPEC.clone();
        Self { spec }
    }

    /// The fixture of the system with two clients.
    pub fn of_two() -> Self {
        let spec = TWO_SPEC.clone();
        Self { spec }
    }

    /// The fixture of systems/cores.
    pub fn of_cores() -> Self {
        let spec = CORES_SPEC.clone();
        Self { spec }
    }

    pub fn index(&self, name: &str) -> usize {
        let named =
            |object: &isolation::capdl::format::NamedObject| object.name.as_deref() == Some(name);
        self.spec
            .objects
            .iter()
            .position(named)
            .unwrap_or_else(|| panic!("no object '{name}'"))
    }

    pub fn object(&mut self, name: &str) -> &mut Object {
        let index = self.index(name);
        &mut self.spec.objects[index].object
    }

    /// Slots of a CNode, TCB, page table or interrupt.
    pub fn slots(&mut self, name: &str) -> &mut Vec<Slot> {
        match self.object(name) {
            Object::CNode(cnode) => &mut cnode.slots,
            Object::Tcb(tcb) => &mut tcb.slots,
            Object::PageTable(table) => &mut table.slots,
            Object::ArmIrq(irq) => &mut irq.slots,
            other => panic!("'{name}' of kind {} has no slots", other.kind()),
        }
    }

    pub fn cap(&mut self, name: &str, slot: u32) -> &mut Cap {
        let entry = self.slots(name).iter_mut().find(|entry| entry.slot == slot);
        &mut entry
            .unwrap_or_else(|| panic!("'{name}' has no slot {slot}"))
            .cap
    }

    pub fn rights(&mut self, name: &str, slot: u32) -> &mut Rights {
        self.cap(name, slot).body.rights.as_mut().unwrap()
    }

    /// Puts a capability of this kind to this object into an empty slot.
    pub fn give(&mut self, cnode: &str, slot: u32, kind: &str, object: &str) -> &mut CapBody {
        let index = self.index(object);
        self.put(cnode, slot, kind, Some(index))
    }

    pub fn put(
        &mut self,
        cnode: &str,
        slot: u32,
        kind: &str,
        object: Option<usize>,
    ) -> &mut CapBody {
        let slots = self.slots(cnode);
        assert!(
            slots.iter().all(|entry| entry.slot != slot),
            "slot {slot} is taken"
        );
        let kind = kind.to_owned();
        let body = CapBody {
            object,
            ..CapBody::default()
        };
        let cap = Cap { kind, body };
        slots.push(Slot { slot, cap });
        &mut slots.last_mut().unwrap().cap.body
    }

    pub fn take(&mut self, cnode: &str, slot: u32) -> Cap {
        let slots = self.slots(cnode);
        let place = slots.iter().position(|entry| entry.slot == slot).unwrap();
        slots.remove(place).cap
    }

    /// Adds an object at the end.
    pub fn add(&mut self, name: &str, object: Object) -> usize {
        let name = Some(name.to_owned());
        self.spec
            .objects
            .push(isolation::capdl::format::NamedObject { name, object });
        self.spec.root_objects.end = self.spec.objects.len();
        self.spec.objects.len() - 1
    }

    /// The last-level page table for an address of a domain, and its slot there, for small pages.
    pub fn page(&self, domain: &str, vaddr: u64) -> (String, u32) {
        self.entry(domain, vaddr, 12)
    }

    /// The same for large pages.
    pub fn large_page(&self, domain: &str, vaddr: u64) -> (String, u32) {
        self.entry(domain, vaddr, 21)
    }

    fn entry(&self, domain: &str, vaddr: u64, until: u32) -> (String, u32) {
        let name = format!("_{domain}");
        let mut index = self
            .spec
            .objects
            .iter()
            .position(|object| {
                matches!(&object.object, Object::PageTable(table) if table.is_root)
                    && object.name.as_ref().unwrap().ends_with(&name)
            })
            .unwrap();
        let mut shift = 30;
        loop {
            let Object::PageTable(table) = &self.spec.objects[index].object else {
                panic!("no page table");
            };
            let mask = if shift == 30 { 0x3ff } else { 0x1ff };
            let slot = u32::try_from((vaddr >> shift) & mask).unwrap();
            if shift == until {
                return (self.spec.objects[index].name.clone().unwrap(), slot);
            }
            let next = table.slots.iter().find(|entry| entry.slot == slot);
            index = next
                .unwrap_or_else(|| panic!("nothing at {vaddr:#x}"))
                .cap
                .body
                .object
                .unwrap();
            shift -= 9;
        }
    }

    /// The capability to the page at an address.
    pub fn mapping(&mut self, domain: &str, vaddr: u64) -> &mut CapBody {
        let (table, slot) = self.page(domain, vaddr);
        &mut self.cap(&table, slot).body
    }

    /// The first executable page of a program.
    pub fn code(&mut self, domain: &str) -> &mut CapBody {
        let vaddr = (0x20_0000_u64..0x40_0000).step_by(0x1000).find(|vaddr| {
            let (table, slot) = self.page(domain, *vaddr);
            let slots = self.slots(&table);
            slots
                .iter()
                .any(|entry| entry.slot == slot && entry.cap.body.executable == Some(true))
        });
        self.mapping(domain, vaddr.unwrap())
    }
}
