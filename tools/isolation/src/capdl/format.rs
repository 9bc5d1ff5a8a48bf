//! The types of the file: those of rust-sel4's `sel4-capdl-initializer-types`, without fills.

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::io::{Read, Write};

/// A specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Spec {
    pub objects: Vec<NamedObject>,
    pub irqs: Vec<IrqEntry>,
    pub domain_schedule: Option<Vec<ScheduleEntry>>,
    pub domain_set_start: Option<u64>,
    pub domain_idx_shift: Option<u64>,
    pub asid_slots: Vec<usize>,
    pub root_objects: RootObjects,
    pub untyped_covers: Vec<serde_json::Value>,
    pub cached_orig_cap_slots: Option<serde_json::Value>,
    pub log_level: Option<u8>,
}

/// A turn of a scheduling domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ScheduleEntry {
    pub domain: u8,
    pub duration: ScheduleDuration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum ScheduleDuration {
    Ticks(u64),
    Us(u64),
    EndMarker,
}

/// The range of objects that are not made of others. In our images these are all objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct RootObjects {
    pub start: usize,
    pub end: usize,
}

/// An interrupt, and the object that stands for its handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct IrqEntry {
    pub irq: u64,
    pub handler: usize,
}

/// An object; capabilities name it by its index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct NamedObject {
    pub name: Option<String>,
    pub object: Object,
}

/// An object. Kinds that our images do not have are kept as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Object {
    Untyped(serde_json::Value),
    Endpoint,
    Notification,
    CNode(CNode),
    Tcb(Tcb),
    Irq(serde_json::Value),
    VCpu,
    Frame(Frame),
    PageTable(PageTable),
    AsidPool(serde_json::Value),
    IOSpace(serde_json::Value),
    IOPageTable(serde_json::Value),
    ArmIrq(ArmIrq),
    IrqMsi(serde_json::Value),
    IrqIOApic(serde_json::Value),
    RiscvIrq(RiscvIrq),
    IOPorts(serde_json::Value),
    SchedContext(SchedContext),
    Reply,
    ArmSmc,
    DomainSet,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct CNode {
    pub size_bits: u8,
    pub slots: Vec<Slot>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Slot {
    pub slot: u32,
    pub cap: Cap,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Tcb {
    pub slots: Vec<Slot>,
    pub extra: TcbExtra,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct TcbExtra {
    pub ipc_buffer_addr: u64,
    pub affinity: u64,
    pub prio: u8,
    pub max_prio: u8,
    pub fpu_disabled: bool,
    pub resume: bool,
    pub domain: Option<u8>,
    pub ip: u64,
    pub sp: u64,
    pub gprs: Vec<u64>,
    pub master_fault_ep: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Frame {
    pub size_bits: u8,
    pub paddr: Option<u64>,
    pub init: Fill,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Fill {
    pub entries: Vec<FillEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct FillEntry {
    pub range: Range,
    pub content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Range {
    pub start: u64,
    pub end: u64,
}

/// Source of a frame's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Content {
    Data(Data),
    BootInfo(serde_json::Value),
}

/// Bytes of an ELF file, or of the file that a region is prefilled with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Data {
    ElfContent(ElfContent),
    BytesContent(Bytes),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ElfContent {
    pub elf_id: usize,
    pub elf_seg_idx: usize,
    pub elf_seg_data_range: Range,
}

/// Bytes, which are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    bytes: Skipped,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Skipped;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct PageTable {
    #[serde(default)]
    pub x86_ept: bool,
    pub is_root: bool,
    pub level: Option<u8>,
    pub slots: Vec<Slot>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ArmIrq {
    pub slots: Vec<Slot>,
    pub extra: ArmIrqExtra,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ArmIrqExtra {
    pub trigger: u64,
    pub target: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct RiscvIrq {
    pub slots: Vec<Slot>,
    pub extra: RiscvIrqExtra,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct RiscvIrqExtra {
    pub trigger: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct SchedContext {
    pub size_bits: u8,
    pub extra: SchedContextExtra,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct SchedContextExtra {
    pub period: u64,
    pub budget: u64,
    pub badge: u64,
}

/// A capability: its kind, known or not, and its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    /// `Endpoint`, `Frame`, …
    pub kind: String,
    /// The rest.
    pub body: CapBody,
}

/// The fields of all kinds of capabilities; each kind uses some.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct CapBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub badge: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rights: Option<Rights>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard_size: Option<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Rights {
    pub read: bool,
    pub write: bool,
    pub grant: bool,
    pub grant_reply: bool,
}

impl Spec {
    /// Reads a specification. Only the objects are kept in memory: the bytes that fill frames, nearly all of the file,
    /// are skipped while reading.
    ///
    /// # Errors
    /// The file is not JSON, or does not have these types.
    pub fn read(input: impl Read) -> Result<Self, serde_json::Error> {
        serde_json::from_reader(std::io::BufReader::with_capacity(1 << 20, input))
    }

    /// Writes it with one object per line, without the bytes.
    ///
    /// # Errors
    /// The output fails.
    pub fn write(&self, mut output: impl Write) -> Result<(), serde_json::Error> {
        let whole = serde_json::to_string(self)?;
        let lines = whole
            .replace("},{\"name\":", "},\n{\"name\":")
            .replace("],\"irqs\":", "],\n\"irqs\":");
        output
            .write_all(lines.as_bytes())
            .map_err(serde_json::Error::io)?;
        output.write_all(b"\n").map_err(serde_json::Error::io)
    }
}

impl Object {
    /// Its kind, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Untyped(_) => "Untyped",
            Self::Endpoint => "Endpoint",
            Self::Notification => "Notification",
            Self::CNode(_) => "CNode",
            Self::Tcb(_) => "TCB",
            Self::Irq(_) => "Irq",
            Self::VCpu => "VCpu",
            Self::Frame(_) => "Frame",
            Self::PageTable(_) => "PageTable",
            Self::AsidPool(_) => "AsidPool",
            Self::IOSpace(_) => "IOSpace",
            Self::IOPageTable(_) => "IOPageTable",
            Self::ArmIrq(_) => "ArmIrq",
            Self::IrqMsi(_) => "IrqMsi",
            Self::IrqIOApic(_) => "IrqIOApic",
            Self::RiscvIrq(_) => "RiscvIrq",
            Self::IOPorts(_) => "IOPorts",
            Self::SchedContext(_) => "SchedContext",
            Self::Reply => "Reply",
            Self::ArmSmc => "ArmSmc",
            Self::DomainSet => "DomainSet",
        }
    }
}

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl Serialize for Skipped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [(); 0].serialize(serializer)
    }
}

impl Serialize for Cap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&self.kind, &self.body)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Cap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CapVisitor;
        impl<'de> Visitor<'de> for CapVisitor {
            type Value = Cap;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a capability: an object whose one key is its kind")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cap, A::Error> {
                let (kind, body) = map
                    .next_entry()?
                    .ok_or_else(|| A::Error::custom("a capability without a kind"))?;
                match map.next_key::<String>()? {
                    None => Ok(Cap { kind, body }),
                    Some(second) => Err(A::Error::custom(format_args!(
                        "a capability of two kinds, {kind} and {second}"
                    ))),
                }
            }
        }
        deserializer.deserialize_map(CapVisitor)
    }
}
