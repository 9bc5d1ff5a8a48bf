//! What must hold, as `policy.toml` says it.
//!
//! The rule that keeps it safe: an unknown key is an error, and so is a name that the description
//! does not have (claim P), so that no line of the file can be void without anybody noticing.

use serde::Deserialize;

/// The policy file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// I1.
    pub mediation: Mediation,
    /// I2.
    #[serde(default)]
    pub shared: Vec<Shared>,
    /// I3.
    #[serde(default)]
    pub private: Vec<Private>,
    /// I4.
    #[serde(default)]
    pub constant: Vec<Constant>,
    /// I5.
    pub execution: Execution,
    /// I6.
    #[serde(default)]
    pub device: Vec<Device>,
    /// I7.
    pub scheduling: Scheduling,
    /// I8.
    #[serde(default)]
    pub control: Vec<Control>,
}

/// Who must not reach whom but through whom.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mediation {
    /// The two domains that must be apart.
    pub between: [String; 2],
    /// The domain that everything between them must pass.
    pub mediator: String,
    /// Subjects whose code is trusted not to carry anything between them.
    pub trusted: Vec<String>,
    /// Pairs of domains that may have channels.
    pub channels: Vec<[String; 2]>,
}

/// A region that one domain writes and others read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// Name of the region.
    pub region: String,
    /// Who may write it.
    pub writer: String,
    /// Who may read it.
    pub readers: Vec<String>,
}

/// A region that one domain alone maps.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Private {
    /// Name of the region.
    pub region: String,
    /// The domain.
    pub domain: String,
}

/// A region that nobody writes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// Name of the region.
    pub region: String,
    /// Who may read it.
    pub readers: Vec<String>,
}

/// What may be executed besides programs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Execution {
    /// Names of regions.
    pub regions: Vec<String>,
}

/// A device, and the one domain that has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// What it is for.
    pub name: String,
    /// What it is.
    pub model: String,
    /// The region of its registers, if they are memory.
    #[serde(default)]
    pub region: Option<String>,
    /// Physical address of its registers.
    #[serde(default)]
    pub at: Option<u64>,
    /// How far its registers reach, in bytes. What comes after may be another device.
    #[serde(default)]
    pub size: Option<u64>,
    /// Its interrupt.
    #[serde(default)]
    pub irq: Option<u64>,
    /// The domain.
    pub domain: String,
}

/// Who comes before whom.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduling {
    /// All domains, highest priority first.
    pub order: Vec<String>,
    /// Those whose budget is their period.
    pub whole_budget: Vec<String>,
}

/// Who holds whose TCB.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Who may stop and restart the child, and gets its faults.
    pub parent: String,
    /// The child.
    pub child: String,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with its place.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Every domain that the policy knows.
    #[must_use]
    pub fn knows_domain(&self, name: &str) -> bool {
        self.scheduling.order.iter().any(|domain| domain == name)
    }

    /// The device whose registers are in this region.
    #[must_use]
    pub fn device_of_region(&self, region: &str) -> Option<&Device> {
        let of = |device: &&Device| device.region.as_deref() == Some(region);
        self.device.iter().find(of)
    }

    /// The device with this interrupt.
    #[must_use]
    pub fn device_of_irq(&self, irq: u64) -> Option<&Device> {
        self.device.iter().find(|device| device.irq == Some(irq))
    }
}
